use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn described() -> Value {
    serde_json::to_value(document()).unwrap()
}

/// Each operation with its method and path.
fn all(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let of_method = |method: &&str| Some((format!("{method} {path}"), item.get(*method)?));
        METHODS.iter().filter_map(of_method).collect::<Vec<_>>()
    });
    operations.collect()
}

#[test]
fn all_of_the_api_is_described_by_the_routers_that_serve_it() {
    let router = include_str!("../mod.rs");
    let undescribed = router.lines().filter(|line| line.contains("route(\"/api"));
    assert_eq!(undescribed.collect::<Vec<_>>(), Vec::<&str>::new());
    let document = described();
    assert_eq!(document["openapi"], "3.1.0");
    let names: Vec<String> = all(&document).into_iter().map(|(name, _)| name).collect();
    for known in
        ["get /api", "get /healthz", "get /api/openapi.yaml", "post /api/hosts/{host}/forget"]
    {
        assert!(names.iter().any(|name| name == known), "{known} is missing in {names:?}");
    }
}

#[test]
fn each_operation_has_a_name_a_summary_a_group_and_says_what_it_answers() {
    let (document, mut ids) = (described(), BTreeSet::new());
    for (name, operation) in all(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no name"));
        assert!(ids.insert(id), "{name}: `{id}` is the name of two operations");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{name}: {summary:?}");
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        assert!(TAGS.iter().any(|(known, _)| *known == tag), "{name} has no group: {tag:?}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with(['2', '3'])),
            "{name} never succeeds"
        );
        for (status, response) in responses {
            assert_ne!(response["description"], "", "{name}: {status} says nothing");
            if status.starts_with('3') {
                continue;
            }
            let content = response["content"].as_object();
            let content = content.unwrap_or_else(|| panic!("{name}: {status} has no content"));
            assert!(content.values().all(|kind| kind["schema"].is_object()), "{name}: {status}");
        }
    }
}

#[test]
fn what_is_referred_to_is_there() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| match value {
                Value::String(to) if key == "$ref" => found.push(to),
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let (document, mut found) = (described(), Vec::new());
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let there = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(there.is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn every_part_of_a_path_is_a_parameter() {
    for (name, operation) in all(&described()) {
        let parts = name.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for part in parts {
            let described =
                operation["parameters"].as_array().into_iter().flatten().any(|parameter| {
                    parameter["name"] == part
                        && parameter["in"] == "path"
                        && parameter["description"] != ""
                });
            assert!(described, "{name}: `{part}`");
        }
    }
}

#[test]
fn two_schemas_of_one_name_are_one() {
    // A merge keeps the first of a name, and would so describe one of the two wrongly.
    let mut known = std::collections::BTreeMap::new();
    let parts = [super::super::open(), super::super::guarded()];
    for router in parts.into_iter().flatten() {
        for (name, schema) in router.into_openapi().components.unwrap_or_default().schemas {
            let text = serde_json::to_string(&schema).unwrap();
            let earlier = known.entry(name.clone()).or_insert_with(|| text.clone());
            assert_eq!(*earlier, text, "{name}");
        }
    }
}

#[test]
fn changes_need_somebody_and_say_so() {
    let document = described();
    let forget = &document["paths"]["/api/hosts/{host}/forget"]["post"];
    for status in ["401", "403"] {
        assert!(forget["responses"][status].is_object(), "{status}");
    }
    assert!(
        forget["parameters"].as_array().unwrap().iter().any(|one| one["name"] == "X-Wigo-Request")
    );
    let healthz = &document["paths"]["/healthz"]["get"];
    assert!(healthz["security"].is_null() && healthz["responses"]["401"].is_null());
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}
