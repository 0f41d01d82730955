//! The routes of the file and of those that it names, and where each stands.

use super::file_sd::SdEntry;
use super::{References, RouteConfig, overlap, target};
use crate::config::keys::proxy::{FILE_SD_CONFIGS, ROUTES_KEY};
use crate::config::keys::{Reader, Section, Value};
use crate::config::yaml::{Findings, NodeId};

/// The node that a route was read from.
enum RouteLocation {
    /// An item of `proxy.routes`.
    Here(NodeId),
    /// A target in the file of this number.
    File(usize, NodeId),
}

/// All routes, until it is known whether each can be reached.
pub struct RouteSet<'a> {
    reader: &'a Reader<'a>,
    routes: Vec<RouteConfig>,
    locations: Vec<RouteLocation>,
    /// The findings about files of targets.
    files: Vec<Findings>,
}

impl<'a> RouteSet<'a> {
    /// Reads what `proxy` lists; `None` when it lists neither routes nor files.
    pub fn read(proxy: &'a Section<'a>, references: &References<'_>) -> Option<Self> {
        if !proxy.has(&ROUTES_KEY) && !proxy.has(&FILE_SD_CONFIGS) {
            return None;
        }
        let reader = proxy.value().reader();
        let (routes, locations, files) = (Vec::new(), Vec::new(), Vec::new());
        let mut set = Self { reader, routes, locations, files };
        for item in proxy.get(&ROUTES_KEY).unwrap_or_default() {
            let location = RouteLocation::Here(item.id());
            if let Some(route) = RouteConfig::read(item, proxy, references) {
                set.push(route, location);
            }
        }
        for item in proxy.get(&FILE_SD_CONFIGS).unwrap_or_default() {
            set.add_file_sd(item, proxy, references);
        }
        Some(set)
    }

    fn push(&mut self, route: RouteConfig, location: RouteLocation) {
        self.routes.push(route);
        self.locations.push(location);
    }

    fn add_file_sd(&mut self, item: Value<'_>, proxy: &Section<'_>, references: &References<'_>) {
        let entry = SdEntry::read(item, proxy, references);
        let first_file = self.files.len();
        for (route, file, node) in entry.routes {
            self.push(route, RouteLocation::File(first_file + file, node));
        }
        self.files.extend(entry.files);
    }

    /// Returns the routes; one that takes requests from another is an error.
    pub fn finish(mut self) -> Vec<RouteConfig> {
        for (index, message) in overlap::find(&self.routes) {
            match self.locations[index] {
                RouteLocation::Here(node) => self.reader.error(node, message),
                RouteLocation::File(file, node) => {
                    let remedy = format!("; a label {} gives it another name", target::ROUTE);
                    let severity = crate::config::yaml::Severity::Error;
                    self.files[file].push(node, severity, message + &remedy);
                }
            }
        }
        for findings in self.files {
            self.reader.append(findings);
        }
        self.routes
    }
}
