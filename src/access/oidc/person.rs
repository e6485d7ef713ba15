//! What a provider's claims mean here: a name, groups, a role.

use serde_json::{Map, Value};

use crate::config::{OpenIdConnect, Role, changes_reading};

/// Before the names of those whom a provider has named: a local user cannot have such a name, since a
/// name with a colon in it cannot be sent as a login.
pub const MARK: &str = "oidc:";
/// Longest name that is taken over, in characters.
const MAX_NAME: usize = 100;
/// Groups that are looked at.
const MAX_GROUPS: usize = 10_000;
/// The claims that names are taken from where none is configured, the best first.
const NAME_CLAIMS: [&str; 3] = ["preferred_username", "email", "sub"];

/// Somebody whom a provider knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// As it is shown and written down, with a mark that no local user can have.
    pub name: String,
    pub role: Role,
    /// What the provider itself tells them from others by; empty if it does not say.
    pub subject: String,
}

/// What a provider says of somebody.
pub type Claims = Map<String, Value>;

/// Whether the claims lack what their owner is judged by, so that more of them should be fetched.
pub fn lacks_something(settings: &OpenIdConnect, claims: &Claims) -> bool {
    let wants_groups = !settings.operator_groups.is_empty() || !settings.readonly_groups.is_empty();
    let wanted = match settings.name_claim.as_str() {
        "" => NAME_CLAIMS[0],
        configured => configured,
    };
    (wants_groups && find(claims, &settings.groups_claim).is_none())
        || text(claims, wanted).is_none()
}

/// The person of these claims; `None` if they do not even name one.
pub fn person(settings: &OpenIdConnect, claims: &Claims) -> Option<Person> {
    let name = match settings.name_claim.as_str() {
        "" => NAME_CLAIMS.iter().find_map(|claim| text(claims, claim)),
        configured => text(claims, configured).or_else(|| text(claims, "sub")),
    }?;
    let groups = groups(claims, &settings.groups_claim);
    let is_in =
        |wanted: &[String]| groups.iter().any(|group| wanted.iter().any(|one| one == group));
    let role = if is_in(&settings.operator_groups) {
        Role::Operator
    } else if is_in(&settings.readonly_groups) {
        settings.default_role.max(Role::Readonly)
    } else {
        settings.default_role
    };
    let subject = text(claims, "sub").unwrap_or_default();
    Some(Person { name: format!("{MARK}{name}"), role, subject })
}

/// A claim as a name. An address that the provider has not verified is no name.
fn text(claims: &Claims, claim: &str) -> Option<String> {
    if claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
        return None;
    }
    let name: String = find(claims, claim)?
        .as_str()?
        .chars()
        .filter(|char| !char.is_control() && !changes_reading(*char))
        .take(MAX_NAME)
        .collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn groups<'claims>(claims: &'claims Claims, claim: &str) -> Vec<&'claims str> {
    match find(claims, claim) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => {
            several.iter().take(MAX_GROUPS).filter_map(Value::as_str).collect()
        }
        _ => Vec::new(),
    }
}

/// A claim of this name, or one within another: `realm_access.roles`.
fn find<'claims>(claims: &'claims Claims, path: &str) -> Option<&'claims Value> {
    claims.get(path).or_else(|| {
        let (outer, inner) = path.split_once('.')?;
        find(claims.get(outer)?.as_object()?, inner)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(keys: &str) -> OpenIdConnect {
        let text = format!("[OpenIdConnect]\n{keys}");
        crate::config::parse(&text, std::path::Path::new("wigo.conf")).unwrap().config.oidc
    }

    fn of(keys: &str, claims: Value) -> Option<(String, Role)> {
        let claims = claims.as_object().unwrap();
        person(&settings(keys), claims).map(|person| (person.name, person.role))
    }

    #[test]
    fn the_best_group_decides() {
        let keys = "OperatorGroups = [\"ops\", \"sre\"]\nReadonlyGroups = [\"staff\"]";
        let role = |groups: Value| of(keys, json!({"sub": "1", "groups": groups})).unwrap().1;
        assert_eq!(role(json!(["staff", "sre"])), Role::Operator);
        assert_eq!(role(json!(["staff"])), Role::Readonly);
        assert_eq!(role(json!("ops")), Role::Operator);
        // Exactly as it is spelled.
        assert_eq!(role(json!(["OPS", "ops2", "/ops", 7, null])), Role::None);
        assert_eq!(role(json!({"ops": true})), Role::None);
        assert_eq!(of(keys, json!({"sub": "1"})).unwrap().1, Role::None);
        let open = format!("{keys}\nDefaultRole = \"operator\"");
        assert_eq!(of(&open, json!({"sub": "1", "groups": ["staff"]})).unwrap().1, Role::Operator);
        let nested = format!("{keys}\nGroupsClaim = \"realm_access.roles\"");
        let claims = json!({"sub": "1", "realm_access": {"roles": ["ops"]}});
        assert_eq!(of(&nested, claims).unwrap().1, Role::Operator);
    }

    #[test]
    fn nobody_becomes_a_local_user_by_name() {
        let name = |claims| of("", claims).map(|(name, _)| name);
        assert_eq!(name(json!({"sub": "1", "preferred_username": "root"})).unwrap(), "oidc:root");
        assert_eq!(name(json!({"sub": "1", "email": "a@b"})).unwrap(), "oidc:a@b");
        let unverified = json!({"sub": "1", "email": "a@b", "email_verified": false});
        assert_eq!(name(unverified).unwrap(), "oidc:1");
        let hidden = json!({"sub": "1", "preferred_username": " a\n\u{202e}b\u{200b} "});
        assert_eq!(name(hidden).unwrap(), "oidc:ab");
        let long = json!({"sub": "x".repeat(1_000)});
        assert_eq!(name(long).unwrap().len(), MARK.len() + MAX_NAME);
        assert_eq!(name(json!({"preferred_username": 7})), None);
        let keys = "NameClaim = \"nickname\"";
        assert_eq!(of(keys, json!({"sub": "1", "nickname": "al"})).unwrap().0, "oidc:al");
        assert_eq!(of(keys, json!({"sub": "1"})).unwrap().0, "oidc:1");
    }

    #[test]
    fn more_is_asked_for_only_where_something_is_missing() {
        let keys = "OperatorGroups = [\"ops\"]";
        let lacks =
            |keys, claims: Value| lacks_something(&settings(keys), claims.as_object().unwrap());
        assert!(lacks(keys, json!({"sub": "1", "preferred_username": "a"})));
        assert!(!lacks(keys, json!({"sub": "1", "preferred_username": "a", "groups": []})));
        assert!(lacks("", json!({"sub": "1"})));
        assert!(!lacks(
            "DefaultRole = \"readonly\"",
            json!({"sub": "1", "preferred_username": "a"})
        ));
    }
}
