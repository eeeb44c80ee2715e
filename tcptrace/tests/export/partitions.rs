//! Partitions: folders that say what is in them.

use std::{collections::HashSet, fs};

use parquet::file::metadata::RowGroupMetaData;
use serde_json::Value;
use tcptrace::{event::Event, recording::Metadata};

use crate::{
    done, failed, files_in, recording,
    rows::{open, read},
};

const BY_BOTH: [&str; 6] = ["--to", "parquet", "--partition", "host,hour", "-o", "fleet"];

#[test]
fn hosts_and_hours_have_folders_and_share_the_fleet() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for host in ["web1", "web2"] {
        recording::write(folder, host, &recording::of(host), &recording::hours(&[0, 1, 3], 10));
        done(folder, &[&["export", "-i", host], &BY_BOTH[..]].concat());
    }
    let file = |host: &str, hour: u32| {
        format!(
            "host={host}/hour=2026-11-21T{hour}/transitions-20261121T103000.000000000Z-0.parquet"
        )
    };
    let fleet = folder.join("fleet");
    let expected: Vec<String> = ["web1", "web2"]
        .iter()
        .flat_map(|host| [10, 11, 13].map(|hour| file(host, hour)))
        .collect();
    assert_eq!(files_in(&fleet), expected);
    for (host, hour) in [("web1", 10), ("web1", 11), ("web1", 13), ("web2", 10)] {
        let rows = read(&fleet.join(file(host, hour)));
        let hour = format!("2026-11-21T{hour}");
        let fits = |row: &Value| {
            row["host"] == host && row["time"].as_str().is_some_and(|t| t.starts_with(&hour))
        };
        assert!(rows.len() >= 50 && rows.iter().all(fits), "{host} {hour}: {rows:?}");
    }
    let line = failed(folder, &[&["export", "-i", "web1"], &BY_BOTH[..]].concat());
    assert!(line.contains("Z-0.parquet exists: name another file, or overwrite it"), "{line}");
    assert_eq!(files_in(&fleet), expected);
    done(folder, &[&["export", "-i", "web1", "--force"], &BY_BOTH[..]].concat());
    assert_eq!(files_in(&fleet), expected);
    // Another recording of the host, and another table, have names of their own.
    let mut later = recording::of("web1");
    later.clock.wall_ns += 1;
    recording::write(folder, "later", &later, &recording::hours(&[0], 10));
    done(folder, &[&["export", "-i", "later"], &BY_BOTH[..]].concat());
    done(folder, &[&["export", "-i", "web1", "--table", "connections"], &BY_BOTH[..]].concat());
    assert_eq!(files_in(&fleet).len(), expected.len() + 1 + 3);
}

#[test]
fn rows_that_come_late_are_in_their_hour_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    // More hours than files are open at a time, and then the first ones again.
    let hours = [0, 1, 2, 3, 4, 5, 6, 0, 1, 6];
    recording::write(folder, "r", &recording::of("web1"), &recording::hours(&hours, 3));
    done(folder, &["export", "-i", "r", "--to", "parquet", "-o", "all.parquet"]);
    done(folder, &["export", "-i", "r", "--to", "parquet", "--partition", "hour", "-o", "hours"]);
    let files = files_in(&folder.join("hours"));
    let folders: HashSet<&str> = files.iter().filter_map(|file| file.split('/').next()).collect();
    assert_eq!((folders.len(), files.len()), (7, 9), "{files:?}");
    let sorted = |mut rows: Vec<Value>| {
        rows.sort_by_key(ToString::to_string);
        rows
    };
    let parted = files.iter().flat_map(|file| read(&folder.join("hours").join(file))).collect();
    assert_eq!(sorted(parted), sorted(read(&folder.join("all.parquet"))));
}

#[test]
fn a_hostile_name_of_a_host_leads_nowhere() {
    for (host, name) in [
        ("../x", "host=..%2Fx"),
        ("/etc/passwd", "host=%2Fetc%2Fpasswd"),
        ("..", "host=.."),
        ("a\0b\n\u{1b}", "host=a%00b%0A%1B"),
        ("", "host=__HIVE_DEFAULT_PARTITION__"),
        (&"\u{e9}".repeat(32), &format!("host={}", "%C3%A9".repeat(32))),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        recording::write(folder, "r", &recording::of(host), &recording::events());
        done(folder, &["export", "-i", "r", "--to", "parquet", "--partition", "host", "-o", "x"]);
        let file = format!("{name}/transitions-20261121T103000.000000000Z-0.parquet");
        assert_eq!(files_in(folder), ["r".to_owned(), format!("x/{file}")]);
        let rows = read(&folder.join("x").join(file));
        let kept = |row: &Value| row["host"].as_str().unwrap_or_default() == host;
        assert!(rows.len() > 3 && rows.iter().all(kept), "{rows:?}");
    }
}

#[test]
fn a_name_that_no_host_can_have_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recording::write(folder, "r", &recording::of(&"x".repeat(65)), &recording::events());
    let args = ["export", "-i", "r", "--to", "parquet", "-o", "x", "--partition"];
    let line = failed(folder, &[&args[..], &["host"]].concat());
    assert!(line.ends_with("none has more than 64: partition by hour alone"), "{line}");
    assert_eq!(files_in(folder), ["r"]);
    done(folder, &[&args[..], &["hour"]].concat());
}

#[test]
fn without_rows_there_is_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recording::write(folder, "r", &recording::of("web1"), &[]);
    done(folder, &[&["export", "-i", "r"], &BY_BOTH[..]].concat());
    assert!(!folder.join("fleet").exists());
    done(folder, &["export", "-i", "r", "--to", "parquet", "-o", "x"]);
    assert!(read(&folder.join("x")).is_empty());
}

#[test]
fn row_groups_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let events: Vec<Event> = recording::hours(&[0], 30_000);
    let metadata: Metadata = recording::of("web1");
    let batches: Vec<&[Event]> = events.chunks(50_000).chain(events.chunks(50_000)).collect();
    fs::write(folder.join("r"), recording::bytes(&metadata, &batches)).expect("a file");
    done(folder, &["export", "-i", "r", "--to", "parquet", "-o", "x"]);
    let file = open(&folder.join("x"));
    let groups: Vec<i64> =
        file.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    assert!(groups.len() > 1 && groups.iter().all(|rows| *rows <= 262_144), "{groups:?}");
    assert!(groups.iter().sum::<i64>() > 300_000, "{groups:?}");
}
