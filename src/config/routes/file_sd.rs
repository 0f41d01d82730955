//! `proxy.file_sd_configs`: a route for each target of Prometheus's `file_sd` files.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::{EntryKind, NAME, RouteEntry, is_name};
use super::target::{self, Target};
use super::{Labels, Prefix, References, RouteConfig, RoutePolicy};
use crate::config::addresses::Upstream;
use crate::config::files::FilePattern;
use crate::config::keys::route::{FILE_SD, FILE_SD_NAME, FILE_SD_PATH, FILES};
use crate::config::keys::{Section, TextValue, Value};
use crate::config::yaml::{Findings, NodeId};

/// An item of `proxy.file_sd_configs`: the routes of its targets, and the files that they stand in.
pub struct SdEntry {
    /// Each route, with the number of its file and the node of its target there.
    pub routes: Vec<(RouteConfig, usize, NodeId)>,
    /// The findings about each file so far.
    pub files: Vec<Findings>,
}

/// The settings that the routes of an entry have in common.
struct Template {
    name: Option<String>,
    prefix: Prefix,
    labels: Labels,
    allowed_targets: Option<Vec<String>>,
    declared: Vec<&'static str>,
    policy: Arc<RoutePolicy>,
}

impl SdEntry {
    /// Reads an item, and the files that it names.
    pub fn read(item: Value<'_>, proxy: &Section<'_>, references: &References<'_>) -> Self {
        let section = Section::open(item, &FILE_SD).inheriting(proxy);
        let entry = RouteEntry { section: &section, kind: EntryKind::FileSd };
        let files = read_files(entry.section);
        let targets = files.iter().flat_map(|(_, targets)| targets);
        let upstreams: Vec<Upstream> = targets.map(|target| target.upstream.clone()).collect();
        let template = Template::read(&entry, &upstreams, references);
        // Prometheus takes a target that is there twice for one.
        let mut seen = HashSet::new();
        let mut sd = Self { routes: Vec::new(), files: Vec::new() };
        for (number, (findings, targets)) in files.into_iter().enumerate() {
            sd.files.push(findings);
            for target in targets {
                let route = template.route(&target);
                let labels: Vec<_> = target.labels.into_iter().collect();
                let path = target.path.as_str().to_owned();
                if seen.insert((route.name.clone(), target.upstream.to_string(), path, labels)) {
                    sd.routes.push((route, number, target.node));
                }
            }
        }
        sd
    }
}

/// Reads the targets of each file that there is.
fn read_files(section: &Section<'_>) -> Vec<(Findings, Vec<Target>)> {
    if !section.has(&FILES) {
        section.error(&FILES, "missing; name the files, such as targets/*.yml");
    }
    let mut found = Vec::new();
    for text in section.get(&FILES).unwrap_or_default() {
        for path in matching_files(&text) {
            let Some(file) = text.read_targets(&path) else { continue };
            let reader = text.reader().other(file.findings);
            let targets = target::read_all(&Value::new(&reader, &file.root, ""));
            let is_new = !text.reader().files().is_in_force(&path);
            found.push((is_new, reader.into_findings(), targets));
        }
    }
    // Keeps the order otherwise.
    found.sort_by_key(|(is_new, ..)| *is_new);
    found.into_iter().map(|(_, findings, targets)| (findings, targets)).collect()
}

fn matching_files(text: &TextValue<'_>) -> Vec<PathBuf> {
    let mut files = text.reader().files();
    let pattern = match FilePattern::parse(text.as_str(), files.directory()) {
        Ok(pattern) => pattern,
        Err(error) => {
            text.error(error);
            return Vec::new();
        }
    };
    match files.find(pattern) {
        Ok(found) => {
            if found.is_empty() {
                text.warning(format!("{:?} matches no file", text.as_str()));
            }
            found
        }
        Err(error) => {
            text.error(error);
            Vec::new()
        }
    }
}

impl Template {
    fn read(entry: &RouteEntry<'_>, upstreams: &[Upstream], references: &References<'_>) -> Self {
        let section = entry.section;
        let name = section.get(&FILE_SD_NAME).map(|text| {
            if !is_name(text.as_str()) {
                text.error(format!("expected {NAME}"));
            }
            text.as_str().to_owned()
        });
        Self {
            name,
            prefix: entry.prefix(&FILE_SD_PATH),
            labels: entry.labels(),
            allowed_targets: entry.allowed_targets(),
            declared: section.declared(),
            policy: Arc::new(RoutePolicy::read(entry, upstreams, references)),
        }
    }

    fn route(&self, target: &Target) -> RouteConfig {
        let name = match &self.name {
            Some(before) => format!("{before}-{}", target.name),
            None => target.name.clone(),
        };
        let mut labels = self.labels.clone();
        labels.extend(target.labels.clone());
        RouteConfig {
            name,
            prefix: self.prefix.below(&target.name),
            strip: true,
            upstreams: vec![target.upstream.clone()],
            is_default: false,
            paths: Some(vec![target.path.clone()]),
            allowed_targets: self.allowed_targets.clone(),
            labels,
            declared: self.declared.iter().chain(&target.declared).copied().collect(),
            policy: Arc::clone(&self.policy),
        }
    }
}
