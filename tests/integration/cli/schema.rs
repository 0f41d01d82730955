//! `schema`: the JSON Schema of the web configuration.

use serde_json::{Value, json};

use crate::support::guard;

/// The keywords of JSON Schema 2020-12 that the schema may use, but for those of its documentation.
const KEYWORDS: [&str; 16] = [
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "items",
    "maximum",
    "minLength",
    "minimum",
    "not",
    "pattern",
    "properties",
    "propertyNames",
    "required",
    "type",
    "$defs",
];
const DOCUMENTATION: [&str; 5] = ["$schema", "$id", "title", "description", "default"];

fn schema() -> Value {
    let directory = tempfile::tempdir().unwrap();
    let printed = guard::run(directory.path(), &["schema"]).expect_code(0);
    serde_json::from_str(&printed.stdout).unwrap()
}

/// Calls `each` with every schema within a schema, and its place.
fn walk(schema: &Value, place: &str, each: &mut impl FnMut(&Value, &str)) {
    each(schema, place);
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let place = format!("{place}/{keyword}");
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => {
                named
                    .iter()
                    .for_each(|(name, schema)| walk(schema, &format!("{place}/{name}"), each));
            }
            ("items" | "propertyNames" | "not" | "additionalProperties", Value::Object(_)) => {
                walk(value, &place, each);
            }
            ("anyOf", Value::Array(schemas)) => {
                schemas.iter().for_each(|schema| walk(schema, &place, each));
            }
            _ => {}
        }
    }
}

#[test]
fn it_is_a_schema_of_2020_12_with_keywords_that_editors_know() {
    let schema = schema();
    assert_eq!(schema["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
    assert!(schema["$id"].is_string() && schema["title"].is_string());
    walk(&schema, "", &mut |schema, place| {
        for keyword in schema.as_object().expect("a schema is an object").keys() {
            let known = KEYWORDS.contains(&keyword.as_str());
            assert!(known || DOCUMENTATION.contains(&keyword.as_str()), "{place}/{keyword}");
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.strip_prefix("#/$defs/").expect("a reference into the schema");
            assert!(!name.is_empty(), "{place}");
        }
    });
}

#[test]
fn each_key_is_described_and_unknown_ones_are_refused() {
    let schema = schema();
    let mut sections = 0;
    walk(&schema, "", &mut |schema, place| {
        let Some(properties) = schema["properties"].as_object() else { return };
        sections += 1;
        assert_eq!(schema["additionalProperties"], json!(false), "{place}");
        for (name, key) in properties {
            let meaning = key["description"].as_str().unwrap_or_default();
            assert!(meaning.len() > 10 && !meaning.ends_with('.'), "{place}/{name}: {meaning:?}");
        }
    });
    assert!(sections >= 13, "{sections}");
    let limits = &schema["$defs"]["proxy.limits"]["properties"];
    assert_eq!(limits["idle_timeout"]["default"], json!("5m"));
    assert_eq!(limits["max_header_bytes"]["anyOf"][0]["minimum"], json!(1024));
    let version = &schema["$defs"]["tls_server_config"]["properties"]["min_version"];
    assert_eq!(version["enum"][0], json!("TLS10"));
}
