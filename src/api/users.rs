//! Users, as operators see and change them.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    access::{Hidden, json_in, role_of},
    audit::Audited,
    hosts::query_pairs,
    openapi::{Refusal, parameters::RoleWord},
    reply::{self, Segments, not_written},
};
use crate::{
    access::password,
    config::{Role, Secret, check_name},
    store::{AccessTables, MAX_USERS, StoreError, UserChange},
};

type Shared = State<Arc<Api>>;
/// Refusals are rare and large.
type Answer<T> = Result<T, Box<Response>>;

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(users))
}

pub fn changes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(add_user))
        .routes(routes!(set_password))
        .routes(routes!(set_role))
        .routes(routes!(remove_user))
        .routes(routes!(end_sessions))
}

/// Somebody who may log in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = User)]
struct UserView {
    name: String,
    /// `readonly` or `operator`.
    role: &'static str,
    /// `configuration`, `database`, or `oidc` for somebody who is logged in by OpenID Connect.
    source: &'static str,
    /// 0: not known.
    created_at: i64,
    /// How often they are logged in now, with a browser.
    sessions: usize,
}

/// Who may log in with a password, and who is logged in by OpenID Connect
#[utoipa::path(
    get, path = "/api/users", operation_id = "users", tag = "access",
    responses((status = 200, description = "all, by name", body = Vec<UserView>)),
)]
async fn users(State(api): Shared, headers: HeaderMap) -> Response {
    reply::json(&headers, &all_users(&api))
}

fn all_users(api: &Api) -> Vec<UserView> {
    let accounts = api.access.accounts();
    let config = api.config.load_full();
    let sessions =
        |name: &str| accounts.sessions.values().filter(|session| session.name == name).count();
    let login = config.http.has_login().then_some((&config.http.login, Role::Operator));
    let configured = config.http.users.iter().map(|user| (&user.name, user.role)).chain(login);
    let configured = configured.map(|(name, role)| (name, role, "configuration", 0));
    let stored = accounts.users.values().filter(|user| !api.access.is_configured(&user.name));
    let stored = stored.map(|user| (&user.name, user.role, "database", user.created.as_second()));
    let view = |(name, role, source, created_at): (&String, Role, _, _)| UserView {
        name: name.clone(),
        role: role.word(),
        source,
        created_at,
        sessions: sessions(name),
    };
    let by_provider = accounts.sessions.values().filter(|session| session.how != "password");
    let by_provider = by_provider.map(|session| (&session.name, session.role, "oidc", 0));
    let mut users: Vec<_> = configured.chain(stored).chain(by_provider).map(view).collect();
    users.sort_by(|one, other| (&one.name, one.source).cmp(&(&other.name, other.source)));
    users.dedup_by(|one, other| one.name == other.name && one.source == other.source);
    users
}

fn user_view(api: &Api, name: &str) -> Option<Value> {
    let user = all_users(api).into_iter().find(|user| user.name == name)?;
    Some(json!({"Name": user.name, "Role": user.role}))
}

/// A user to be added.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct NewUser {
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]*$", max_length = 64)]
    name: String,
    #[schema(value_type = RoleWord, inline)]
    role: String,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    password: Hidden,
}

/// A password to be set.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct NewPassword {
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    password: Hidden,
}

/// Adds a user
#[utoipa::path(
    post, path = "/api/users", operation_id = "add_user", tag = "access",
    request_body = NewUser,
    responses(
        (status = 200, description = "the user", body = UserView),
        (status = 400, description = "the body cannot be understood, or name, role or password cannot be taken", body = Refusal),
        (status = 409, description = "there is one of this name, or there are too many", body = Refusal),
        (status = 413, description = "the body is too large", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn add_user(State(api): Shared, body: Body) -> Response {
    let NewUser { name, role, password: Hidden(password) } = match json_in(body).await {
        Ok(user) => user,
        Err(refusal) => return *refusal,
    };
    let audited = |after| Audited {
        action: Some("user.add"),
        target: Some(name.clone()),
        after,
        ..Audited::default()
    };
    match try_to_add(&api, name.clone(), &role, password).await {
        Ok(()) => {
            let user = all_users(&api).into_iter().find(|user| user.name == name);
            audited(user_view(&api, &name)).with(reply::json(&HeaderMap::new(), &user))
        }
        Err(refusal) => audited(None).with(*refusal),
    }
}

async fn try_to_add(api: &Api, name: String, role: &str, password: Secret) -> Answer<()> {
    check_name(&name).map_err(|allowed| bad(format!("`Name` must be {allowed}")))?;
    let role = role_of(role).map_err(|_| bad("`Role` must be `readonly` or `operator`"))?;
    password::check(&password).map_err(|why| bad(why.to_string()))?;
    let exists = |name: &str| conflict(format!("there is a user `{name}` already"));
    if api.access.is_configured(&name) {
        return Err(exists(&name));
    }
    let added = name.clone();
    let change = api
        .access
        .change(move |tables| tables.add_user(&added, role, &password::hash(&password)))
        .await;
    match change.map_err(|error| Box::new(not_written(&error)))? {
        UserChange::Done => Ok(()),
        UserChange::Full => Err(conflict(format!("there are {MAX_USERS} users already"))),
        UserChange::Exists | UserChange::Unknown => Err(exists(&name)),
    }
}

/// Gives a user another password, and ends their sessions
#[utoipa::path(
    post, path = "/api/users/{name}/password", operation_id = "set_password", tag = "access",
    params(("name" = String, Path, description = "the name of a user in the database")),
    request_body = NewPassword,
    responses(
        (status = 200, description = "`OK`", body = String, content_type = "text/plain"),
        (status = 400, description = "the body cannot be understood, or the password cannot be taken", body = Refusal),
        (status = 404, description = "there is no such user", body = Refusal),
        (status = 409, description = "the user is configured: change the configuration", body = Refusal),
        (status = 413, description = "the body is too large", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn set_password(
    State(api): Shared,
    Segments(name): Segments<String>,
    body: Body,
) -> Response {
    let NewPassword { password: Hidden(password) } = match json_in(body).await {
        Ok(password) => password,
        Err(refusal) => return *refusal,
    };
    if let Err(why) = password::check(&password) {
        return *bad(why.to_string());
    }
    change_user(&api, "user.password", name, move |tables, name| {
        tables.set_password(name, &password::hash(&password))
    })
    .await
}

/// Gives a user another role, and ends their sessions
#[utoipa::path(
    post, path = "/api/users/{name}/role", operation_id = "set_role", tag = "access",
    params(
        ("name" = String, Path, description = "the name of a user in the database"),
        ("role" = inline(RoleWord), Query, description = "`readonly` or `operator`"),
    ),
    responses(
        (status = 200, description = "`OK`", body = String, content_type = "text/plain"),
        (status = 400, description = "there is no such role", body = Refusal),
        (status = 404, description = "there is no such user", body = Refusal),
        (status = 409, description = "the user is configured: change the configuration", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn set_role(
    State(api): Shared,
    Segments(name): Segments<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let role = query_pairs(query.as_deref().unwrap_or_default()).find(|(name, _)| name == "role");
    let role = match role_of(&role.map(|(_, role)| role).unwrap_or_default()) {
        Ok(role) => role,
        Err(why) => return *bad(why),
    };
    change_user(&api, "user.role", name, move |tables, name| tables.set_role(name, role)).await
}

/// Removes a user, and ends their sessions
#[utoipa::path(
    post, path = "/api/users/{name}/remove", operation_id = "remove_user", tag = "access",
    params(("name" = String, Path, description = "the name of a user in the database")),
    responses(
        (status = 200, description = "`OK`", body = String, content_type = "text/plain"),
        (status = 404, description = "there is no such user", body = Refusal),
        (status = 409, description = "the user is configured, or the last one, without whom everybody could do everything", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn remove_user(State(api): Shared, Segments(name): Segments<String>) -> Response {
    let access = &api.access;
    let config = api.config.load_full();
    let is_last = access.accounts().users.keys().all(|user| *user == name)
        && !config.http.has_login()
        && config.http.users.is_empty()
        && config.http.proxy.user_header.is_empty()
        && access.provider().is_none();
    if is_last && config.http.anonymous_role.is_none() {
        let why = "this is the last user, without whom everybody could do everything: set \
                   AnonymousRole in [Http] first";
        let known = access.accounts().users.contains_key(&name);
        return if known { *conflict(why) } else { unknown(&name) };
    }
    change_user(&api, "user.remove", name, AccessTables::remove_user).await
}

/// Ends all sessions of somebody, however they logged in
#[utoipa::path(
    post, path = "/api/users/{name}/sessions/end", operation_id = "end_sessions", tag = "access",
    params(("name" = String, Path, description = "the name of a user, or of somebody who is logged in by OpenID Connect")),
    responses(
        (status = 200, description = "`OK`", body = String, content_type = "text/plain"),
        (status = 404, description = "nobody of this name is logged in", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn end_sessions(State(api): Shared, Segments(name): Segments<String>) -> Response {
    let of = name.clone();
    let response = match api.access.change(move |tables| tables.end_sessions_of(&of)).await {
        Ok(0) => {
            let why = format!("nobody is logged in with a browser as `{name}`");
            reply::refuse(StatusCode::NOT_FOUND, why)
        }
        Ok(_) => reply::text("OK"),
        Err(error) => not_written(&error),
    };
    Audited { action: Some("user.logout"), ..Audited::default() }.with(response)
}

async fn change_user(
    api: &Api,
    action: &'static str,
    name: String,
    change: impl FnOnce(&AccessTables, &str) -> Result<UserChange, StoreError> + Send + 'static,
) -> Response {
    if api.access.is_configured(&name) {
        let why =
            format!("the user `{name}` is configured: change [[Http.Users]] or [Http] instead");
        return *conflict(why);
    }
    let before = user_view(api, &name);
    let changed = name.clone();
    match api.access.change(move |tables| change(tables, &changed)).await {
        Ok(UserChange::Done) => {
            let (action, after) = (Some(action), user_view(api, &name));
            Audited { action, before, after, ..Audited::default() }.with(reply::text("OK"))
        }
        Ok(_) => unknown(&name),
        Err(error) => not_written(&error),
    }
}

fn unknown(name: &str) -> Response {
    reply::refuse(StatusCode::NOT_FOUND, format!("there is no user `{name}` in the database"))
}

fn bad(why: impl AsRef<str>) -> Box<Response> {
    Box::new(reply::refuse(StatusCode::BAD_REQUEST, why))
}

fn conflict(why: impl AsRef<str>) -> Box<Response> {
    Box::new(reply::refuse(StatusCode::CONFLICT, why))
}
