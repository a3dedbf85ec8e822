//! Tables as `kubectl` prints them: capital headers, two spaces between columns, no lines.
//!
//! Cells are plain text: an escape in one would be counted as characters.

use comfy_table::{ContentArrangement, Table};

use super::terminal;

const GAP: u16 = 2;

/// Returns the table for standard output: folded into the terminal's width, and one line a row when piped.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    fitted(headers, rows, terminal::answer().map(|size| size.columns))
}

/// Returns rows without a header, a line each, with a line break at the end.
pub(crate) fn lines(rows: &[Vec<String>]) -> String {
    let widths = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..widths).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Returns the table at most `width` columns wide where that is possible.
pub(crate) fn fitted(headers: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    match width.and_then(|width| u16::try_from(width).ok()) {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(headers.iter().map(|header| header.to_uppercase()));
    table.add_rows(rows);
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { GAP }));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        [["web", "2/3", "http://localhost:30000", "back-off pulling image `web:v9`"], ["redis", "1/1", "", ""]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn piped_is_one_line_a_row() {
        let table = fitted(&["service", "ready", "url", "reason"], &rows(), None);
        assert_eq!(
            table,
            "\
SERVICE  READY  URL                     REASON
web      2/3    http://localhost:30000  back-off pulling image `web:v9`
redis    1/1"
        );
    }

    #[test]
    fn a_terminal_folds_the_widest_column() {
        let table = fitted(&["service", "ready", "url", "reason"], &rows(), Some(60));
        assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
        assert_eq!(
            table,
            "\
SERVICE  READY  URL                     REASON
web      2/3    http://localhost:30000  back-off pulling
                                        image `web:v9`
redis    1/1"
        );
    }

    #[test]
    fn without_rows_the_header_stays() {
        assert_eq!(fitted(&["name", "age"], &[], None), "NAME  AGE");
    }
}
