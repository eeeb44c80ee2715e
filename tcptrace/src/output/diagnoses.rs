//! What `doctor` found.

use std::fmt::Write as _;

use bytes::BytesMut;
use serde::Serialize;

use super::json;

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// As it should be.
    Good,
    /// Tracing works, but something is missing.
    Limited,
    /// Tracing cannot work.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// What.
    pub name: String,
    /// How it stands.
    #[serde(rename = "status")]
    pub mark: Mark,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
}

#[derive(Serialize)]
struct DiagnosisFields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

/// Writes the diagnoses, as text or as JSON lines of type `diagnosis`.
pub fn diagnoses(out: &mut BytesMut, json: bool, list: &[Diagnosis]) {
    let width = list.iter().map(|diagnosis| diagnosis.name.len()).max().unwrap_or(0);
    for diagnosis in list {
        if json {
            json::line(out, &DiagnosisFields { kind: "diagnosis", diagnosis });
            continue;
        }
        let mark = match diagnosis.mark {
            Mark::Good => "ok",
            Mark::Limited => "limited",
            Mark::Missing => "missing",
        };
        // Writing to a buffer in memory cannot fail.
        _ = writeln!(out, "{mark:<8} {:<width$}  {}", diagnosis.name, diagnosis.found);
        if let Some(fix) = &diagnosis.fix {
            _ = writeln!(out, "{:<8} {:<width$}  fix: {fix}", "", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BytesMut, Diagnosis, Mark, diagnoses};

    fn written(json: bool) -> String {
        let list = [
            Diagnosis {
                name: "kernel".into(),
                mark: Mark::Good,
                found: "Linux 6.18.44".into(),
                fix: None,
            },
            Diagnosis {
                name: "privileges".into(),
                mark: Mark::Missing,
                found: "you are not root".into(),
                fix: Some("run it with sudo".into()),
            },
        ];
        let mut out = BytesMut::new();
        diagnoses(&mut out, json, &list);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn the_fix_stands_below_what_it_mends() {
        insta::assert_snapshot!(written(false), @r"
        ok       kernel      Linux 6.18.44
        missing  privileges  you are not root
                             fix: run it with sudo
        ");
    }

    #[test]
    fn json_has_one_object_a_line() {
        insta::assert_snapshot!(written(true), @r#"
        {"type":"diagnosis","name":"kernel","status":"good","found":"Linux 6.18.44","fix":null}
        {"type":"diagnosis","name":"privileges","status":"missing","found":"you are not root","fix":"run it with sudo"}
        "#);
    }
}
