//! One small recording of each version of the format: all of them are read, and say what they said.

use std::{fs, path::Path};

use assert_cmd::Command;

const FORMATS: [u32; 2] = [1, 2];

#[test]
fn recordings_of_every_version_say_what_they_said() {
    for format in FORMATS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/recordings/format-{format}.arrows"));
        let size = fs::metadata(&path).expect("a recording of each version").len();
        assert!(size < 50_000, "{size} bytes");
        for (view, name) in [
            (&["watch", "--json"][..], "watch"),
            (&["lifetimes", "--json"], "lifetimes"),
            (&["stuck", "--json", "--for", "1s"], "stuck"),
        ] {
            let mut command = Command::cargo_bin("tcptrace").expect("the program");
            let output = command.args(view).arg("-i").arg(&path).output().expect("it runs");
            let said = String::from_utf8(output.stdout).expect("JSON is UTF-8");
            let said: Vec<String> = said.lines().map(facts).collect();
            let said = said.join("\n");
            insta::assert_snapshot!(format!("format-{format}-{name}"), said);
        }
    }
}

/// What a line says of connections. Advice may be put better than it was then.
fn facts(line: &str) -> String {
    let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    if line["type"] == "stuck" {
        let facts = ["conn", "kind", "age_ns", "age", "owners", "peer", "held_by", "again"];
        let facts = facts.map(|name| format!("{name} {}", line[name].take()));
        return facts.join(", ");
    }
    line.to_string()
}
