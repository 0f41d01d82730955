//! The plot of the last hour, as SVG. Colours come from the style of the page, so that they follow
//! its theme.

use maud::{Markup, html};

use super::MinuteStatus;
use crate::observe::history::MINUTES;

/// The size of a plot in its own units. On a telephone a unit is about a pixel.
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 130.0;
/// The space for labels at the left, and for the time below.
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 18.0;
const TOP: f64 = 8.0;

/// One of the two plots.
pub struct Plot<'a> {
    /// A name for references inside the page.
    pub id: &'static str,
    /// The heading for those who do not see the plot.
    pub title: &'static str,
    /// The minutes, the newest last.
    pub minutes: &'a [MinuteStatus],
    /// The value that is drawn as bars.
    pub bars: fn(&MinuteStatus) -> f64,
    /// The value that is drawn as a line.
    pub line: fn(&MinuteStatus) -> f64,
    /// Formats a value of the axis.
    pub format: fn(f64) -> String,
    /// The meaning of bars and line.
    pub legend: [&'static str; 2],
}

impl Plot<'_> {
    /// Draws the plot.
    pub fn render(&self) -> Markup {
        let top = round_up(self.highest());
        let (title, description) = (format!("{}-title", self.id), format!("{}-text", self.id));
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
                aria-labelledby=(format!("{title} {description}")) {
                title id=(title) { (self.title) }
                desc id=(description) {
                    "The last 60 minutes; at most " ((self.format)(self.highest())) ". "
                    "Bars: " (self.legend[0]) ". Line: " (self.legend[1]) "."
                }
                @for share in [0.0, 0.5, 1.0] {
                    @let y = y_of(share);
                    line class="grid" x1=(LEFT) x2=(WIDTH) y1=(y) y2=(y) {}
                    text x=(LEFT - 5.0) y=(y + 4.0) text-anchor="end" { ((self.format)(top * share)) }
                }
                @for (index, minute) in self.minutes.iter().enumerate() {
                    @let height = (self.bars)(minute) / top;
                    @if height > 0.0 {
                        rect class="bar" x=(x_of(self.column(index)) + 0.5) y=(y_of(height))
                            width=(column_width() - 1.0) height=(y_of(0.0) - y_of(height)) {}
                    }
                }
                // A minute between two without requests would have no line.
                @for (index, minute) in self.minutes.iter().enumerate() {
                    @let value = (self.line)(minute) / top;
                    @if value > 0.0 {
                        circle class="dot" cx=(self.middle(index)) cy=(y_of(value)) r="1.8" {}
                    }
                }
                polyline class="line" points=(self.points(top)) {}
                text x=(LEFT) y=(HEIGHT - 4.0) { "60 minutes ago" }
                text x=(WIDTH) y=(HEIGHT - 4.0) text-anchor="end" { "now" }
            }
        }
    }

    fn highest(&self) -> f64 {
        let values = self.minutes.iter().flat_map(|m| [(self.bars)(m), (self.line)(m)]);
        values.fold(0.0, f64::max)
    }

    /// Returns the column of a minute, counted so that the newest is at the right edge.
    fn column(&self, index: usize) -> usize {
        MINUTES.saturating_sub(self.minutes.len()) + index
    }

    /// Returns the middle of the column of a minute.
    fn middle(&self, index: usize) -> f64 {
        x_of(self.column(index)) + column_width() / 2.0
    }

    fn points(&self, top: f64) -> String {
        let point = |(index, minute): (usize, &MinuteStatus)| {
            format!("{:.1},{:.1}", self.middle(index), y_of((self.line)(minute) / top))
        };
        self.minutes.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    }
}

fn column_width() -> f64 {
    (WIDTH - LEFT) / f64::from(u8::try_from(MINUTES).unwrap_or(u8::MAX))
}

fn x_of(column: usize) -> f64 {
    LEFT + column_width() * f64::from(u8::try_from(column).unwrap_or(u8::MAX))
}

/// Returns where a share of the highest value is drawn; y grows downwards.
fn y_of(share: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
}

/// Returns the next 1, 2 or 5 times a power of ten, for an axis with round numbers.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_above_the_highest_value() {
        for (value, end) in [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}");
            assert!(
                (round_up(value / 1000.0) - end / 1000.0).abs() < 1e-9 || value <= 0.0,
                "{value}"
            );
        }
    }

    #[test]
    fn a_plot_stays_inside_its_frame() {
        let minute = |requests| MinuteStatus {
            requests,
            errors: 0,
            mean_seconds: 0.0,
            longest_seconds: 0.0,
        };
        for count in [0, 1, MINUTES] {
            let minutes: Vec<MinuteStatus> = (0..count).map(|i| minute(i as u64 * 7)).collect();
            let plot = Plot {
                id: "a",
                title: "<b>",
                minutes: &minutes,
                bars: |minute| minute.requests as f64,
                line: |minute| minute.requests as f64,
                format: |value| value.to_string(),
                legend: ["", ""],
            };
            let svg = plot.render().into_string();
            assert!(!svg.contains("<b>") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            let points = plot.points(round_up(plot.highest()));
            for number in points.split([',', ' ']).filter(|text| !text.is_empty()) {
                let number: f64 = number.parse().unwrap();
                assert!((0.0..=WIDTH).contains(&number), "{points}");
            }
        }
    }
}
