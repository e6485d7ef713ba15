//! Texts in columns.

/// The space between two columns.
const GAP: &str = "  ";

/// Rows as lines, each column as wide as its widest text. The last one is not filled up.
pub fn columns<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (text, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{text:<width$}{GAP}"));
        }
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}
