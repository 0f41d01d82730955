//! Routes: several exporters behind one guard, listed in `proxy.routes` or made of the targets of
//! `proxy.file_sd_configs`, and the default route of a file without either.

mod access;
mod entry;
mod file_sd;
mod overlap;
mod path;
mod policy;
mod route;
mod route_set;
mod target;
mod upstream_tls;

pub(super) use access::References;
pub use access::{AccessRules, DeclaredConditions, Rule};
pub(super) use entry::{EntryKind, RouteEntry};
pub use path::{InvalidPath, Pattern, Prefix, is_plain};
pub use policy::{RoutePolicy, Sharing};
pub use route::RouteConfig;
pub(super) use route_set::RouteSet;
pub use upstream_tls::UpstreamTls;

use std::collections::BTreeMap;

/// The path where the guard answers service discovery when there are routes.
pub const TARGETS: &str = "/-/targets";

/// The path that a route forwards when it does not say.
const METRICS: &str = "/metrics";

/// Labels for service discovery, by name.
type Labels = BTreeMap<String, String>;
