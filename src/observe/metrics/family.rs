//! The description of a metric family, and the way its series are written.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// One metric family: its name, its type, its labels and what it measures. `docs/metrics.md` is
/// generated from these.
#[derive(Debug)]
pub struct Family {
    /// The name without the unit and without the suffix of its type.
    pub name: &'static str,
    /// The help text, a whole phrase with a full stop.
    pub help: &'static str,
    /// The type.
    pub kind: MetricType,
    /// The unit, which the name ends in.
    pub unit: Option<Unit>,
    /// The names of the labels, in the order of their values.
    pub labels: &'static [&'static str],
}

impl Family {
    /// Describes a counter.
    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind: MetricType::Counter, unit: None, labels }
    }

    /// Describes a gauge.
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind: MetricType::Gauge, unit: None, labels }
    }

    /// Describes a histogram of seconds.
    pub const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind: MetricType::Histogram, unit: Some(Unit::Seconds), labels }
    }

    /// Describes a family whose labels are what it says; its value is always 1.
    pub const fn info(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind: MetricType::Info, unit: None, labels }
    }

    /// Adds a unit.
    pub const fn in_unit(mut self, unit: Unit) -> Self {
        // A const function cannot drop what was there before, and `None` needs no drop.
        std::mem::forget(self.unit.replace(unit));
        self
    }

    /// Returns the name that queries use; of a histogram, the name without `_bucket`.
    pub fn full_name(&self) -> String {
        let unit = self.unit.as_ref().map(|unit| format!("_{}", unit.as_str()));
        let suffix = match self.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        format!("{}{}{suffix}", self.name, unit.unwrap_or_default())
    }

    /// Returns the type as the text format 0.0.4 names it.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            MetricType::Counter => "counter",
            MetricType::Histogram => "histogram",
            _ => "gauge",
        }
    }

    /// Writes a family that has no labels.
    ///
    /// # Errors
    ///
    /// Returns the error of the writer.
    pub fn write_one(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        metric.encode(encoder.encode_descriptor(
            self.name,
            self.help,
            self.unit.as_ref(),
            self.kind,
        )?)
    }

    /// Writes a family that says something by its labels.
    ///
    /// # Errors
    ///
    /// Returns the error of the writer.
    pub fn write_info<const N: usize>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        values: [&str; N],
    ) -> fmt::Result {
        let labels: Vec<(&str, &str)> = self.labels.iter().copied().zip(values).collect();
        encoder.encode_descriptor(self.name, self.help, None, self.kind)?.encode_info(&labels)
    }

    /// Writes the series of a family, each with the values of its labels; nothing if there is none.
    ///
    /// # Errors
    ///
    /// Returns the error of the writer.
    pub fn write<M: EncodeMetric, const N: usize>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        series: impl IntoIterator<Item = ([String; N], M)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let unit = self.unit.as_ref();
        let mut family = encoder.encode_descriptor(self.name, self.help, unit, self.kind)?;
        for (values, metric) in series {
            let labels: Vec<(&str, String)> = self.labels.iter().copied().zip(values).collect();
            metric.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
