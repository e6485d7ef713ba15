//! The description of the API, OpenAPI 3.1: made from the handlers and views themselves.
//!
//! Each handler says what is its own (`#[utoipa::path]`). What the checks in front of it add – who may ask,
//! and how it is refused otherwise – is added here, where it is the same for all of them.

pub mod parameters;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use axum::{
    http::{HeaderMap, HeaderValue, Method},
    response::Response,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
        ResponseBuilder, Schema, SecurityRequirement, Tag,
        content::ContentBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{AdditionalProperties, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, reply::Document, rights};
use crate::{config::Role, json::Json, status::Status, tree::ProbeName};

const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

/// The groups of operations, in the order in which they are shown.
const TAGS: [(&str, &str); 9] = [
    ("tree", "Instances, hosts, probes, groups and labels: how they are now"),
    ("summary", "The same in short, however many hosts there are: what the web page asks"),
    ("journal", "What happened"),
    ("incidents", "What people are told: incidents, messages, and what holds them back"),
    ("schedule", "What runs when"),
    ("orders", "Orders to other hosts, and the probes that are switched off"),
    ("authority", "Who may push"),
    ("access", "Who may use this API, and who has changed what"),
    ("about", "This instance and this API"),
];

pub fn open() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(json)).routes(routes!(yaml))
}

/// This description as JSON
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "openapi_json", tag = "about",
    responses((status = 200, description = "the description", body = Object)),
)]
async fn json(headers: HeaderMap) -> Response {
    static HELD: OnceLock<Document> = OnceLock::new();
    HELD.get_or_init(|| Document::of(&document())).answer(&headers)
}

/// This description as YAML
#[utoipa::path(
    get, path = "/api/openapi.yaml", operation_id = "openapi_yaml", tag = "about",
    responses((
        status = 200, description = "the description", body = Object, content_type = "application/yaml"
    )),
)]
async fn yaml(headers: HeaderMap) -> Response {
    static HELD: OnceLock<Document> = OnceLock::new();
    let document = HELD.get_or_init(|| {
        let text = document().to_yaml().expect("all keys of the description are text");
        Document::of_text(text, YAML)
    });
    document.answer(&headers)
}

/// Everything that may be asked.
pub fn document() -> OpenApi {
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE"));
    let info = InfoBuilder::new()
        .title("Wigo")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What Is Going On: hosts, probes, and what happened. Times are Unix seconds unless said \
             otherwise; a refusal is a JSON string that says why.",
        ))
        .license(Some(license.identifier(Some(env!("CARGO_PKG_LICENSE"))).build()));
    let tags: Vec<Tag> = TAGS
        .map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build())
        .into();
    let mut document = OpenApiBuilder::new().info(info).tags(Some(tags)).build();
    for (router, is_guarded) in [(super::open(), false), (super::guarded(), true)]
        .into_iter()
        .flat_map(|(parts, guarded)| parts.into_iter().map(move |part| (part, guarded)))
    {
        let mut part = router.into_openapi();
        for (path, item) in &mut part.paths.paths {
            for (method, operation) in operations(item) {
                let role =
                    if is_guarded { rights::needed(&method, Some(path)) } else { Role::None };
                complete(path, operation, role, rights::only_reads(&method));
                if is_guarded {
                    guard_refuses(operation);
                }
            }
        }
        document.merge(part);
    }
    let components = document.components.get_or_insert_default();
    for (name, scheme) in ways_to_say_who() {
        components.add_security_scheme(name, scheme);
    }
    components.schemas.insert(Refusal::name().into(), Refusal::schema());
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What the guard may say to every request, whatever it is for.
fn guard_refuses(operation: &mut Operation) {
    refuses(operation, 403, "the caller may not do this, or a page of another site has asked");
    refuses(operation, 421, "the name in `Host` is none of ours: see HostNames in [Http]");
    refuses(operation, 429, "too many wrong passwords: `Retry-After` says when to try again");
    refuses(operation, 503, "too much is asked at once, or the change cannot be written down");
}

/// Adds what the checks in front of an operation ask for and answer.
fn complete(path: &str, operation: &mut Operation, role: Role, only_reads: bool) {
    // The first line of a doc comment is a sentence; a summary is a heading.
    if let Some(summary) = &mut operation.summary {
        summary.truncate(summary.trim_end_matches('.').len());
    }
    if path.contains('{') {
        refuses(
            operation,
            400,
            "a part of the path is not UTF-8, or a parameter cannot be understood",
        );
    }
    if role > Role::None {
        let nobody = std::iter::once(SecurityRequirement::default());
        // For ways that are not OAuth, these are the roles that one has to have.
        let role = [role.word()];
        let ways = ways_to_say_who().map(|(name, _)| SecurityRequirement::new(name, role));
        operation.security = Some(nobody.chain(ways).collect());
        let unknown = ResponseBuilder::new()
            .description("credentials are missing, or are wrong")
            .content("text/plain", ContentBuilder::new().schema(Some(String::schema())).build());
        operation.responses.responses.entry("401".into()).or_insert(unknown.build().into());
        refuses(operation, 403, "the caller may not do this");
    }
    if role > Role::None && !only_reads {
        operation.parameters.get_or_insert_default().push(RefOr::T(request_header()));
    }
    let has_tag = |response: &RefOr<utoipa::openapi::Response>| match response {
        RefOr::T(response) => ["application/json", "application/yaml"]
            .iter()
            .any(|kind| response.content.contains_key(*kind)),
        RefOr::Ref(_) => false,
    };
    if only_reads && operation.responses.responses.get("200").is_some_and(has_tag) {
        let same = ResponseBuilder::new().description("what `If-None-Match` names is still true");
        operation.responses.responses.entry("304".into()).or_insert(same.build().into());
    }
}

/// Adds a refusal, unless the operation has its own word for it.
fn refuses(operation: &mut Operation, status: u16, why: &str) {
    operation.responses.responses.entry(status.to_string()).or_insert_with(|| refusal(why));
}

/// Refusals with these statuses and reasons.
pub fn refusals(all: &[(u16, &str)]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    all.iter().map(|(status, why)| (status.to_string(), refusal(why))).collect()
}

fn refusal(why: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Refusal::name())));
    let refusal = ResponseBuilder::new().description(why);
    refusal.content("application/json", content.build()).build().into()
}

fn request_header() -> Parameter {
    ParameterBuilder::new()
        .name("X-Wigo-Request")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "any value; needed with a session or without credentials, since pages of other sites cannot \
             send it",
        ))
        .schema(Some(String::schema()))
        .build()
}

/// How a caller can say who he is.
fn ways_to_say_who() -> [(&'static str, SecurityScheme); 4] {
    let http = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
    let key = |value| SecurityScheme::ApiKey(value);
    [
        ("password", http(HttpAuthScheme::Basic)),
        ("token", http(HttpAuthScheme::Bearer)),
        ("token_header", key(ApiKey::Header(ApiKeyValue::new("X-Wigo-Token")))),
        ("session", key(ApiKey::Cookie(ApiKeyValue::new("wigo_session")))),
    ]
}

/// A sentence that says why something was not done, and what to do.
#[derive(ToSchema)]
pub struct Refusal(#[expect(dead_code, reason = "stands for the text of `reply::refuse`")] String);

impl PartialSchema for Status {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(100))
            .maximum(Some(999))
            .description(Some(
                "How bad it is: 100 OK, 101–199 INFO, 200–299 WARN, 300–499 CRIT, 500–998 ERROR, 999 DOWN",
            ))
            .into()
    }
}

impl ToSchema for Status {}

impl PartialSchema for ProbeName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The name of a probe, that of its file without what follows a dot"))
            .into()
    }
}

impl ToSchema for ProbeName {}

impl PartialSchema for Json {
    /// Whatever a probe has said.
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::schema::empty().into()
    }
}

impl ToSchema for Json {}

/// An object whose keys are not known before.
pub fn map_of(value: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
}

/// A parameter that may be left out. `impl IntoParams` puts those together that derives cannot describe.
pub fn query(name: &str, schema: impl Into<RefOr<Schema>>, meaning: &str) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
    parameter.description(Some(meaning)).schema(Some(schema)).build()
}

/// A text as a parameter.
pub fn text() -> RefOr<Schema> {
    String::schema()
}

#[cfg(test)]
mod tests;
