//! Text, tables and plots, in an order, and how they look in Markdown. Pure.

use std::fmt::Write as _;

/// What a report is made of.
#[derive(Default)]
pub(super) struct Document(Vec<Block>);

pub(super) enum Block {
    Heading(u8, String),
    Text(String),
    /// Behind the first column stand numbers.
    Table {
        header: Vec<String>,
        rows: Vec<Vec<Cell>>,
    },
    /// All columns are text.
    Listing {
        header: Vec<String>,
        rows: Vec<Vec<Cell>>,
    },
    List(Vec<String>),
    Plot {
        file: String,
        svg: String,
        title: String,
    },
    Preformatted(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) is_bold: bool,
}

impl Cell {
    pub(super) fn plain(text: &str) -> Self {
        Self { text: text.to_string(), is_bold: false }
    }
}

impl Document {
    pub(super) fn push(&mut self, block: Block) {
        self.0.push(block);
    }

    pub(super) fn heading(&mut self, level: u8, text: &str) {
        self.push(Block::Heading(level, text.to_string()));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.push(Block::Text(text.to_string()));
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.0
    }

    /// Files and their contents.
    pub(super) fn plots(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|block| match block {
            Block::Plot { file, svg, .. } => Some((file.as_str(), svg.as_str())),
            _ => None,
        })
    }

    pub(super) fn markdown(&self) -> String {
        self.0.iter().map(markdown).collect::<Vec<_>>().join("\n")
    }
}

fn markdown(block: &Block) -> String {
    match block {
        Block::Heading(level, text) => format!("{} {text}\n", "#".repeat(usize::from(*level))),
        Block::Text(text) => format!("{}\n", text.replace('\n', "  \n")),
        Block::List(items) => items.iter().map(|item| format!("- {item}\n")).collect(),
        Block::Plot { file, title, .. } => format!("![{title}](plots/{file})\n"),
        Block::Preformatted(text) => format!("```text\n{}\n```\n", text.trim_end()),
        Block::Table { header, rows } => table(header, rows, "---:|"),
        Block::Listing { header, rows } => table(header, rows, "---|"),
    }
}

fn table(header: &[String], rows: &[Vec<Cell>], column: &str) -> String {
    let columns = column.repeat(header.len() - 1);
    let mut text = format!("| {} |\n|---|{columns}\n", header.join(" | "));
    for row in rows {
        let cells: Vec<_> = row.iter().map(cell).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn cell(cell: &Cell) -> String {
    let text = cell.text.replace('|', "\\|");
    if cell.is_bold { format!("**{text}**") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_a_row_and_no_cell_ends_early() {
        let mut document = Document::default();
        document.heading(2, "Who");
        let bold = Cell { text: "1".into(), is_bold: true };
        let header = vec![String::new(), "16 x 1".into()];
        document.push(Block::Table { header, rows: vec![vec![Cell::plain("a|b"), bold]] });
        assert_eq!(document.markdown(), "## Who\n\n|  | 16 x 1 |\n|---|---:|\n| a\\|b | **1** |\n");
    }
}
