//! The keys of the web configuration, each declared once: name, type, default, unit, range, meaning
//! and the sections where it may stand.
//!
//! From a declaration come the reading of its value ([`Section::get`]), the messages about unknown
//! keys, the JSON Schema of `exporter-guard schema` and docs/configuration.md. What a key means
//! together with other keys is the business of `sections` and `routes`.

mod declaration;
mod number_types;
mod reader;
mod reference;
mod schema;
mod section;
mod section_types;
mod suggestion;
mod text_types;
mod value;

pub mod file;
pub mod proxy;
pub mod route;
pub mod toolkit;

pub use declaration::{Declaration, Key, SectionKeys};
pub use number_types::{GoDuration, Integer};
pub use reader::Reader;
pub use reference::reference;
pub use schema::schema;
pub use section::Section;
pub use text_types::{Choice, Text, TextList};
pub use value::{Entry, TextValue, Value};
