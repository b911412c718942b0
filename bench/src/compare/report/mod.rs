//! The report: the same tables and plots as Markdown, with the plots beside it, and as one HTML page.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::environment;
use super::histograms;
use super::rivals::{ALL, REFERENCE};
use super::sample::Samples;
use super::scale::Scale;
use super::scenarios::{self, Scenario};
use super::size;
use super::standings::Standings;

mod document;
mod html;
mod plot;
mod table;

use document::{Block, Cell, Document};

/// Writes `report.md`, `report.html` and `plots/` of what was measured.
///
/// # Errors
///
/// When a file can't be read or written.
pub(super) fn write(
    out: &Path,
    scale: &Scale,
    samples: &Samples,
    standings: &Standings,
    variants: &Path,
) -> io::Result<()> {
    let mut document = Document::default();
    heading(&mut document);
    who(&mut document, standings);
    for scenario in scenarios::ALL {
        if samples.of_scenario(scenario.name).next().is_some() {
            let settings = table::settings(scenario, scale, samples);
            of_scenario(&mut document, scenario, scale, &settings, samples, out)?;
        }
    }
    sizes(&mut document, variants)?;
    document.heading(2, "Machine, versions, settings");
    document.push(Block::Preformatted(environment::read(out)));
    let plots = out.join("plots");
    std::fs::create_dir_all(&plots)?;
    for (file, svg) in document.plots() {
        std::fs::write(plots.join(file), svg)?;
    }
    std::fs::write(out.join("report.md"), document.markdown())?;
    std::fs::write(out.join("report.html"), html::page(&document))
}

fn heading(document: &mut Document) {
    document.heading(1, "Threads against event loops: the report");
    document.text(&format!(
        "Medians over the rounds; percentiles are of the merged histograms of all rounds. In brackets the ratio to \
         {REFERENCE} in the same rounds, with its bootstrap interval at {:.0} %. Bold: the best of those who speak the herd's \
         protocol, and whoever cannot be told from it by that interval over \
         three rounds or more. An asterisk: replies were wrong or missing, or a round \
         failed; a list below the tables says what. \"at least\" and \"at most\": the generator was the limit \
         in every round, so the rival may do better. The references (echo, Redis, memcached) do less work than the herd, \
         or other work: the echo is the ceiling.",
        super::statistics::CONFIDENCE * 100.0
    ));
}

fn who(document: &mut Document, standings: &Standings) {
    document.heading(2, "Who");
    let header = ["rival", "what it is", "herd check"].map(str::to_string).to_vec();
    let rows = ALL.iter().map(|rival| {
        let said = standings.said(rival).lines().last().unwrap_or_default().to_string();
        vec![Cell::plain(rival.name), Cell::plain(rival.about), Cell::plain(&said)]
    });
    document.push(Block::Listing { header, rows: rows.collect() });
    for (rival, word, said) in standings.absent() {
        document.text(&format!("Not measured: {rival}, {word}: {said}"));
    }
}

fn of_scenario(
    document: &mut Document,
    scenario: &Scenario,
    scale: &Scale,
    settings: &[String],
    samples: &Samples,
    out: &Path,
) -> io::Result<()> {
    document.heading(2, scenario.title);
    document.text(&(scenario.about)(scale));
    document.text(&table::rounds(scenario, samples));
    let logged = histograms::load(&out.join("histograms"), scenario.name)?;
    // Most tables of a scenario have the same.
    let mut notes = BTreeSet::new();
    for figure in scenario.figures {
        let table = table::Table::of(scenario, figure, settings, samples, &logged);
        if table.is_empty() {
            continue;
        }
        document.heading(3, figure.title);
        document.push(table.block());
        notes.extend(table.notes());
        if !figure.is_circumstance
            && let Some(svg) = plot::of(figure.title, &table)
        {
            let file = plot::file_name(scenario.name, figure);
            document.push(Block::Plot { file, svg, title: figure.title.to_string() });
        }
    }
    if !notes.is_empty() {
        document.heading(3, "What was not as it should be");
        document.push(Block::List(notes.into_iter().collect()));
    }
    Ok(())
}

fn sizes(document: &mut Document, variants: &Path) -> io::Result<()> {
    document.heading(2, "Size of the code");
    document.text(
        "Lines that carry code, by concern; without comments, empty lines and tests. What stands in a library counts \
         for nothing.",
    );
    let mut header = vec![String::new()];
    header.extend(size::CONCERNS.map(str::to_string));
    header.push("all".into());
    let rows = size::count(variants)?.into_iter().map(|(name, lines)| {
        let mut row = vec![Cell::plain(name)];
        row.extend(size::CONCERNS.iter().map(|concern| {
            lines.get(concern).map_or(Cell::plain("-"), |count| Cell::plain(&count.to_string()))
        }));
        row.push(Cell::plain(&lines.values().sum::<usize>().to_string()));
        row
    });
    document.push(Block::Table { header, rows: rows.collect() });
    Ok(())
}
