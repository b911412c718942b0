//! The report as one HTML page that needs nothing beside it. Pure.

use super::document::{Block, Cell, Document};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0;font-size:.85rem;font-variant-numeric:tabular-nums}\
th,td{border-bottom:1px solid #ddd;padding:.25rem .6rem;text-align:right;white-space:nowrap}\
th:first-child,td:first-child,.text th,.text td{text-align:left}\
div{overflow-x:auto}pre{background:#f6f6f6;padding:1rem;overflow-x:auto;font-size:.8rem}svg{max-width:100%;height:auto}";

pub(super) fn page(document: &Document) -> String {
    let title = document.blocks().iter().find_map(|block| match block {
        Block::Heading(1, text) => Some(escaped(text)),
        _ => None,
    });
    let body: String = document.blocks().iter().map(html).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n{body}</html>\n",
        title.unwrap_or_default()
    )
}

fn html(block: &Block) -> String {
    match block {
        Block::Heading(level, text) => format!("<h{level}>{}</h{level}>\n", escaped(text)),
        Block::Text(text) => format!("<p>{}</p>\n", escaped(text).replace('\n', "<br>")),
        Block::List(items) => {
            let items: String =
                items.iter().map(|item| format!("<li>{}</li>\n", escaped(item))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        // The plotter writes no markup from outside but texts, and escapes those.
        Block::Plot { svg, title, .. } => {
            format!("<figure role=\"img\" aria-label=\"{}\">{svg}</figure>\n", escaped(title))
        }
        Block::Preformatted(text) => format!("<pre>{}</pre>\n", escaped(text.trim_end())),
        Block::Table { header, rows } => table(header, rows, ""),
        Block::Listing { header, rows } => table(header, rows, " class=\"text\""),
    }
}

fn table(header: &[String], rows: &[Vec<Cell>], class: &str) -> String {
    let head: String =
        header.iter().map(|text| format!("<th scope=\"col\">{}</th>", escaped(text))).collect();
    let rows: String = rows
        .iter()
        .map(|row| format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>()))
        .collect();
    format!("<div><table{class}>\n<tr>{head}</tr>\n{rows}</table></div>\n")
}

fn cell(cell: &Cell) -> String {
    let text = escaped(&cell.text);
    if cell.is_bold { format!("<td><b>{text}</b></td>") } else { format!("<td>{text}</td>") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_said_is_no_markup() {
        let mut document = Document::default();
        document.heading(1, "a < b");
        document.text("it said <script>");
        let page = page(&document);
        assert!(page.contains("<title>a &lt; b</title>"), "{page}");
        assert!(page.contains("<p>it said &lt;script&gt;</p>"), "{page}");
    }
}
