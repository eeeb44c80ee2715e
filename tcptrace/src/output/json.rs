//! JSON: one object per line, `type` first, unknown is null.

mod plain;
mod writer;

use std::fmt;

use bytes::BytesMut;
use serde::{Serialize, Serializer};

use self::writer::Writer;
pub(crate) use crate::model::hex::Hex;

/// Writes `record` and the end of the line.
pub(super) fn line(out: &mut BytesMut, record: &impl Serialize) {
    let written = record.serialize(&mut Writer(out));
    // Only a value that says so itself can fail.
    debug_assert!(written.is_ok(), "{written:?}");
    out.extend_from_slice(b"\n");
}

/// Serialises by its `Display`, as a string.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A kernel address in hexadecimal digits, without 0x, as a string.
impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digits(&mut [0; 16]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::BytesMut;
    use proptest::prelude::*;
    use serde::Serialize;

    use super::line;

    /// A value of each kind.
    #[derive(Clone, Debug, Serialize)]
    enum Value {
        Nothing,
        Flag(bool),
        Text(String),
        Letter(char),
        Fields { number: i64, float: f64, small: u8, none: Option<u16>, nested: Vec<Value> },
        Pair(u64, Option<String>),
        Empty {},
        Map(BTreeMap<String, f32>),
        Unit(()),
        List(Vec<(i8, u32)>),
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![4 => prop::char::range(' ', '~'), 1 => any::<char>()],
            0..30,
        )
        .prop_map(String::from_iter)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nothing),
            Just(Value::Empty {}),
            Just(Value::Unit(())),
            any::<bool>().prop_map(Value::Flag),
            text().prop_map(Value::Text),
            any::<char>().prop_map(Value::Letter),
            (any::<u64>(), prop::option::of(text())).prop_map(|(a, b)| Value::Pair(a, b)),
            prop::collection::btree_map(text(), any::<f32>(), 0..3).prop_map(Value::Map),
            prop::collection::vec(any::<(i8, u32)>(), 0..3).prop_map(Value::List),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let nested = prop::collection::vec(inner, 0..4);
            (any::<(i64, f64, u8, Option<u16>)>(), nested).prop_map(
                |((number, float, small, none), nested)| Value::Fields {
                    number,
                    float,
                    small,
                    none,
                    nested,
                },
            )
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_as_serde_json_writes_it(value in value()) {
            let mut out = BytesMut::new();
            line(&mut out, &value);
            let ours = str::from_utf8(&out).expect("UTF-8");
            let theirs = serde_json::to_string(&value).expect("JSON");
            if theirs.bytes().all(|b| matches!(b, b' '..=b'~')) {
                prop_assert_eq!(ours.trim_end_matches('\n'), &theirs);
            }
            let back = |text| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            prop_assert_eq!(back(ours), back(&theirs));
        }
    }

    #[test]
    fn a_terminal_never_sees_raw_what_is_not_printable_and_the_value_stays() {
        let hostile = "\u{1b}[31m \u{9b}1m \u{202e} \u{7f} \"\\ é 日 \u{e0001}\u{feff}";
        let mut out = BytesMut::new();
        line(&mut out, &hostile);
        let text = String::from_utf8(out.to_vec()).expect("UTF-8");
        assert_eq!(
            text,
            concat!(r#""\u001b[31m \u009b1m \u202e \u007f \"\\ é 日 \udb40\udc01\ufeff""#, "\n")
        );
        let back: String = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, hostile);
    }
}
