//! CSV and JSON must tell the same under the same names.

use bytes::BytesMut;
use serde_json::{Map, Value};

use super::{Format, Style, samples, times};
use crate::output::{connections::Connections, sockets::sockets, transitions::Transitions};

/// Names and values of a CSV's only line.
fn csv_fields(csv: &[u8]) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_reader(csv);
    let names = reader.headers().expect("a header").clone();
    let line = reader.records().next().expect("a line").expect("as many fields as names");
    let field = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    names.iter().zip(&line).map(field).collect()
}

/// Names and values of one JSON object, nested names joined by points, as CSV writes them.
fn json_fields(json: &[u8]) -> Vec<(String, String)> {
    let object: Map<String, Value> = serde_json::from_slice(json).expect("an object");
    let mut fields = Vec::new();
    for (name, value) in object {
        match value {
            Value::Object(nested) => fields.extend(
                nested.into_iter().map(|(inner, value)| (format!("{name}.{inner}"), plain(&value))),
            ),
            value => fields.push((name, plain(&value))),
        }
    }
    fields
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(_) => "a list".to_owned(),
        value => value.to_string(),
    }
}

fn assert_same(write: impl Fn(&mut BytesMut, Style)) {
    let [csv, json] = [Format::Csv, Format::Json].map(|format| {
        let mut out = BytesMut::new();
        write(&mut out, Style::new(format));
        out
    });
    let csv = csv_fields(&csv);
    let json = json_fields(&json);
    for (name, value) in &json {
        let found = csv.iter().find(|(csv_name, _)| csv_name == name);
        let (_, in_csv) = found.expect(name);
        if value != "a list" {
            assert_eq!(in_csv, value, "{name}");
        }
    }
    for (name, value) in &csv {
        let told = json.iter().any(|(json_name, _)| json_name == name);
        // JSON says `v4mapped` only where it is so.
        let nothing_to_tell = value.is_empty() || (name == "v4mapped" && value == "false");
        assert!(told || nothing_to_tell, "{name}={value} is not in the JSON");
    }
}

#[test]
fn transitions_agree() {
    let mut moved = samples::transitions::moved();
    moved.identity.tuple = samples::v4mapped();
    for moved in [moved, samples::transitions::moves()[8]] {
        assert_same(|out, style| {
            let mut transitions = Transitions::new(style, times());
            transitions.header(out);
            transitions.line(out, &moved);
        });
    }
}

#[test]
fn connections_agree() {
    let mut life = samples::connections::life();
    life.identity.tuple = samples::v4mapped();
    life.states = [1, 2, 3, 4, 5, 6, 7, 8].map(Some);
    assert_same(|out, style| {
        let mut connections = Connections::new(style, times());
        connections.header(out);
        connections.line(out, &life);
    });
}

#[test]
fn sockets_agree() {
    let mut listed = samples::sockets::list().swap_remove(4);
    listed.socket.tuple = samples::v4mapped();
    assert_same(|out, style| sockets(out, &style, std::slice::from_ref(&listed)));
}
