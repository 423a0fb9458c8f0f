//! Tables as CSV files that go through spreadsheets and come back.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula and runs it. So such a cell is written
//! with an apostrophe before it, which spreadsheets take for "this is text", and the apostrophe is taken off again when
//! the cell is read. A cell that begins with an apostrophe of its own gets another, so that every text comes back as it was.

use crate::{Error, Kind, Result};

/// What a cell must not begin with, the mark itself included.
fn is_marked(first: char) -> bool {
    matches!(first, '=' | '+' | '-' | '@' | '\'')
}

/// A cell as it is written into a file.
pub fn neutral(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with(is_marked) { format!("'{text}").into() } else { text.into() }
}

/// A cell as it was before it was written.
pub fn restored(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| text.starts_with(is_marked)).unwrap_or(cell)
}

/// Adds a row of cells (RFC 4180), each neutral and quoted where it must be.
pub fn write_row<'a>(file: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            file.push(',');
        }
        let cell = neutral(cell);
        if cell.contains(['"', ',', '\r', '\n']) {
            file.push('"');
            file.push_str(&cell.replace('"', "\"\""));
            file.push('"');
        } else {
            file.push_str(&cell);
        }
    }
    file.push_str("\r\n");
}

/// The rows of a file whose first row names its columns: of each row its cells that are not empty, restored, by the names of
/// their columns. At most `most` rows. The names must be among `known`, each once.
pub fn read<'k>(file: &[u8], known: &[&'k str], most: usize) -> Result<Vec<Vec<(&'k str, String)>>> {
    let malformed = |why: String| {
        Error::new(Kind::Invalid, "malformed_csv", format!("The body is not CSV that can be read: {why} and send it again."))
    };
    let text = std::str::from_utf8(file).map_err(|_| malformed("it is not UTF-8. Save it as UTF-8".into()))?;
    // Spreadsheets begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut columns: Vec<&'k str> = Vec::new();
    let mut rows = Vec::new();
    while reader.read_record(&mut record).map_err(|error| malformed(format!("{error}. Correct that")))? {
        if columns.is_empty() {
            for name in &record {
                let column = known.iter().find(|known| **known == name.trim()).copied();
                match column {
                    Some(column) if !columns.contains(&column) => columns.push(column),
                    Some(column) => return Err(malformed(format!("the column {column} is there twice. Drop one"))),
                    None => {
                        let known = known.join(", ");
                        return Err(malformed(format!(
                            "its first row must name the columns, and it names {:?}, which is none of {known}. Correct that",
                            name.chars().take(60).collect::<String>()
                        )));
                    }
                }
            }
            continue;
        }
        if record.len() != columns.len() {
            return Err(malformed(format!(
                "row {} has {} cells, the first row names {} columns. Correct that",
                rows.len() + 1,
                record.len(),
                columns.len()
            )));
        }
        if rows.len() == most {
            return Err(too_many(most));
        }
        let cells = columns.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        rows.push(cells.map(|(column, cell)| (*column, restored(cell).to_owned())).collect());
    }
    Ok(rows)
}

/// The refusal of a file with more rows than are taken at once.
pub fn too_many(most: usize) -> Error {
    Error::invalid("", format!("The body has more than {most} rows, the most that are taken at once. Send them in parts."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_are_neutral_in_the_file_and_whole_again_after_it() {
        for (text, cell) in [
            ("=1+2", "'=1+2"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("'=1", "''=1"),
            ("'tis", "''tis"),
            ("'", "''"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!((neutral(text).as_ref(), restored(cell)), (cell, text));
        }
        // What people type with an apostrophe of their own stays.
        assert_eq!(restored("'tis"), "'tis");
    }

    #[test]
    fn what_is_no_table_says_where_it_is_wrong() {
        let code = |file: &[u8]| read(file, &["a", "b"], 2).unwrap_err();
        for file in [&b"a,c\n1,2\n"[..], b"a,a\n1,2\n", b"a,b\n1\n", b"a,b\n1,2,3\n", b"\xff\n", b"\n,\n"] {
            assert_eq!(code(file).code, "malformed_csv", "{}", String::from_utf8_lossy(file));
        }
        assert_eq!(code(b"a\n1\n2\n3\n").code, "invalid_request");
        assert_eq!(read(b"", &["a"], 2), Ok(vec![]));
        assert_eq!(read("\u{feff}b,a\r\n,1\r\n".as_bytes(), &["a", "b"], 2), Ok(vec![vec![("a", "1".to_owned())]]));
    }

    proptest! {
        #[test]
        fn every_text_survives_the_file(rows in prop::collection::vec(prop::array::uniform3("['=+@,\"-]{0,3}\\PC{1,8}"), 0..5)) {
            let mut file = String::new();
            write_row(&mut file, ["a", "b", "c"]);
            rows.iter().for_each(|row| write_row(&mut file, row.iter().map(String::as_str)));
            for line in file.lines().skip(1) {
                for cell in line.split(',').map(|cell| cell.trim_start_matches('"')) {
                    let quoted = line.contains('"');
                    prop_assert!(quoted || !cell.starts_with(['=', '+', '-', '@']), "{}", line);
                }
            }
            let read = read(file.as_bytes(), &["a", "b", "c"], 10).unwrap();
            let read: Vec<Vec<String>> = read.into_iter().map(|row| row.into_iter().map(|(_, cell)| cell).collect()).collect();
            prop_assert_eq!(read, rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
        }
    }
}
