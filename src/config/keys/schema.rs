//! The declarations as a JSON Schema, for editors.

use serde_json::{Map, Value as Json, json};

use super::declaration::{Declaration, SectionKeys};
use super::file::FILE;

const ID: &str = "https://exporter-guard.invalid/web-config.schema.json";

/// Returns the JSON Schema (2020-12) of the web configuration.
///
/// It takes what `check` takes, as far as one value can be judged by itself: rules between keys, the
/// content of files and keys that stand twice are left to `check`.
pub fn schema() -> Json {
    let mut definitions = Map::new();
    for section in FILE.all().into_iter().filter(|section| !section.name.is_empty()) {
        definitions.insert(section.name.to_owned(), of_section(section));
    }
    let mut schema = of_section(&FILE);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["$id"] = json!(ID);
    schema["title"] = json!("Web configuration of exporter-guard");
    schema["$defs"] = Json::Object(definitions);
    schema
}

fn of_section(section: &SectionKeys) -> Json {
    let mut properties = Map::new();
    for key in section.keys() {
        properties.insert(key.name().to_owned(), of_key(key));
    }
    let required: Vec<&str> =
        section.keys().filter(|key| key.is_required()).map(Declaration::name).collect();
    let mut schema = json!({
        "type": "object",
        "description": section.introduction,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn of_key(key: &dyn Declaration) -> Json {
    let mut alternatives = key.schemas();
    if !key.is_required() && key.off().is_empty() {
        alternatives.push(json!({"type": "null"}));
    }
    let mut schema = match alternatives.as_slice() {
        [only] => only.clone(),
        _ => json!({"anyOf": alternatives}),
    };
    schema["description"] = json!(key.meaning());
    if let Some(default) = key.default_value() {
        schema["default"] = serde_json::from_str(&default).unwrap_or(json!(default));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = schema();
        let text = schema.to_string();
        for name in text.split("\"#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schema["$defs"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn every_key_has_type_meaning_and_default() {
        let schema = schema();
        for section in FILE.all() {
            let of_section = match section.name {
                "" => &schema,
                name => &schema["$defs"][name],
            };
            assert_eq!(of_section["additionalProperties"], json!(false), "{}", section.name);
            for key in section.keys() {
                let of_key = &of_section["properties"][key.name()];
                assert_eq!(of_key["description"], json!(key.meaning()), "{}", key.name());
                let has_type =
                    ["type", "anyOf", "$ref", "enum"].iter().any(|k| of_key[k] != json!(null));
                assert!(has_type, "{}: {of_key}", key.name());
            }
        }
        let limit = &schema["$defs"]["proxy.limits"]["properties"]["max_header_bytes"];
        assert_eq!(limit["default"], json!(32768));
        assert_eq!(limit["anyOf"][0]["maximum"], json!(262144));
    }
}
