//! Parquet: names, types and values.

use std::path::Path;

use parquet::file::metadata::KeyValue;
use serde_json::{Value, json};

use crate::{
    done, recording,
    rows::{open, read},
};

fn exported(folder: &Path, table: &str) {
    recording::write(folder, "r.arrows", &recording::of("web1"), &recording::events());
    done(
        folder,
        &["export", "-i", "r.arrows", "--to", "parquet", "--table", table, "-o", "x.parquet"],
    );
}

#[test]
fn the_types_are_a_promise() {
    for table in ["transitions", "connections"] {
        let folder = tempfile::tempdir().expect("a folder");
        exported(folder.path(), table);
        let schema = open(&folder.path().join("x.parquet")).schema().clone();
        let lines: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), field.data_type()))
            .collect();
        insta::assert_snapshot!(format!("{table}_schema"), lines.join("\n"));
    }
}

#[test]
fn every_row_says_what_the_json_says() {
    for (table, view, kind) in
        [("transitions", "watch", "transition"), ("connections", "lifetimes", "connection")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        exported(folder.path(), table);
        let printed = done(folder.path(), &[view, "-i", "r.arrows", "--json"]).stdout;
        let printed = String::from_utf8(printed).expect("UTF-8");
        let lines = printed.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        let mut lines: Vec<Value> = lines.collect();
        lines.retain(|line| line["type"] == kind);
        for line in &mut lines {
            line["host"] = json!("web1");
        }
        assert!(lines.len() > 3, "{printed}");
        assert_eq!(read(&folder.path().join("x.parquet")), lines);
    }
}

#[test]
fn a_file_says_where_it_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    exported(folder.path(), "connections");
    let file = open(&folder.path().join("x.parquet"));
    let metadata = file.metadata().file_metadata();
    assert_eq!(metadata.created_by(), Some(concat!("tcptrace ", env!("CARGO_PKG_VERSION"))));
    let entries = metadata.key_value_metadata().expect("entries");
    for (key, value) in [
        ("table", "connections"),
        ("tcptrace.version", env!("CARGO_PKG_VERSION")),
        ("recording.tcptrace.version", "0.0.9"),
        ("recording.command_line", "tcptrace record"),
        ("host", "web1"),
        ("kernel", "6.1.0"),
        ("boot_id", "b007"),
        ("lost", "7"),
    ] {
        assert!(entries.contains(&KeyValue::new(key.to_owned(), value.to_owned())), "{key}");
    }
}

#[test]
fn a_host_without_a_name_has_none() {
    let folder = tempfile::tempdir().expect("a folder");
    recording::write(folder.path(), "r.arrows", &recording::of(""), &recording::events());
    done(folder.path(), &["export", "-i", "r.arrows", "--to", "parquet", "-o", "x.parquet"]);
    let rows = read(&folder.path().join("x.parquet"));
    assert!(rows.len() > 3 && rows.iter().all(|row| row["host"].is_null()), "{rows:?}");
}
