//! A table as a picture: a line a rival over the settings, values on a logarithmic scale.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::table::Table;
use crate::compare::scenarios::{Figure, Shows};

const SIZE: (u32, u32) = (1_000, 520);

/// Room for the names of the rivals, at the right.
const NAMES: u32 = 190;

/// Colors that people with color blindness tell apart too (Paul Tol's), taken in turn; who comes after them
/// has a dotted line.
const COLORS: [RGBColor; 7] = [
    RGBColor(51, 34, 136),
    RGBColor(204, 51, 17),
    RGBColor(17, 119, 51),
    RGBColor(221, 153, 0),
    RGBColor(51, 187, 238),
    RGBColor(170, 68, 153),
    RGBColor(120, 120, 120),
];

/// Least distance of two names, in pixels.
const LINE: i32 = 17;

/// `cpu-a-request.svg`, so to say: letters, digits and hyphens.
pub(super) fn file_name(scenario: &str, figure: &Figure) -> String {
    let multiple = if matches!(figure.shows, Shows::Over(_)) { "multiple" } else { "" };
    let name: String = format!("{scenario}-{}-{multiple}", figure.measure)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    format!("{}.svg", words.join("-"))
}

/// `None` if there is nothing that a logarithmic scale could show.
pub(super) fn of(title: &str, table: &Table) -> Option<String> {
    let mut svg = String::new();
    let range = range(table)?;
    draw(title, table, range, &mut svg).ok()?;
    Some(svg)
}

/// Who has no value, or zero, has no point.
fn points(table: &Table) -> impl Iterator<Item = (usize, &'static str, Vec<(f64, f64)>)> {
    table.rows.iter().enumerate().map(|(number, row)| {
        let values = row.entries.iter().enumerate().filter_map(|(column, entry)| {
            let value = entry.as_ref()?.value;
            (value > 0.0 && value.is_finite()).then_some((column as f64, value))
        });
        (number, row.rival, values.collect())
    })
}

fn range(table: &Table) -> Option<Range<f64>> {
    let values = || points(table).flat_map(|(_, _, points)| points).map(|(_, value)| value);
    let (least, most) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    Some(least / 1.4..most * 1.4)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(title: &str, table: &Table, range: Range<f64>, svg: &mut String) -> Drawn {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let last = (table.settings.len() - 1) as f64;
    // One setting alone stands in the middle.
    let columns = if last == 0.0 { -0.5..0.5 } else { 0.0..last };
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(10)
        .margin_right(NAMES)
        .x_label_area_size(40)
        .y_label_area_size(90)
        .build_cartesian_2d(columns, range.log_scale())?;
    let setting = |at: &f64| {
        let is_whole = at.fract() == 0.0 && *at >= 0.0;
        let name = is_whole.then(|| table.settings.get(*at as usize)).flatten();
        name.cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(RGBColor(240, 240, 240))
        .x_labels(table.settings.len().max(2))
        .x_label_formatter(&setting)
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 14))
        .draw()?;
    let mut ends = Vec::new();
    for (number, rival, points) in points(table) {
        let color = COLORS[number % COLORS.len()];
        let is_dotted = number >= COLORS.len();
        if let Some(end) = points.last() {
            ends.push((chart.backend_coord(end), rival, color));
        }
        if is_dotted {
            chart.draw_series(DashedLineSeries::new(
                points.clone(),
                4,
                4,
                color.stroke_width(2),
            ))?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?;
        }
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
    }
    draw_names(&area, ends)?;
    area.present()?;
    Ok(())
}

/// Each at the end of its line, and no two in one place.
fn draw_names(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    mut ends: Vec<((i32, i32), &str, RGBColor)>,
) -> Drawn {
    ends.sort_by_key(|((_, y), _, _)| *y);
    let most = SIZE.1 as i32 - LINE;
    let mut lines: Vec<i32> = Vec::new();
    for ((_, y), _, _) in &ends {
        let after = lines.last().map_or(*y, |before| (before + LINE).max(*y));
        lines.push(after);
    }
    // From below, so that none falls off the picture.
    let mut limit = most;
    for line in lines.iter_mut().rev() {
        *line = (*line).min(limit);
        limit = *line - LINE;
    }
    let x = (SIZE.0 - NAMES) as i32;
    for (((end_x, end_y), name, color), line) in ends.into_iter().zip(lines) {
        let style =
            ("sans-serif", 14).into_font().color(&color).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&PathElement::new([(end_x + 5, end_y), (x + 8, line)], color.mix(0.4)))?;
        area.draw(&Text::new(name.to_string(), (x + 12, line), style))?;
    }
    Ok(())
}

/// `1.5M`, `20k`, `300`, `0.05`.
fn short(value: f64) -> String {
    let with = |value: f64, unit: &str| {
        let text = format!("{value:.2}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value {
        _ if value >= 1e6 => with(value / 1e6, "M"),
        _ if value >= 1e3 => with(value / 1e3, "k"),
        _ => with(value, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_plain_names() {
        let name = file_name("throughput", &crate::compare::scenarios::ALL[0].figures[1]);
        assert_eq!(name, "throughput-server-cpu-us-request.svg");
    }

    #[test]
    fn labels_are_short() {
        for (value, text) in
            [(1_500_000.0, "1.5M"), (20_000.0, "20k"), (300.0, "300"), (0.05, "0.05")]
        {
            assert_eq!(short(value), text);
        }
    }
}
