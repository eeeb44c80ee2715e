//! A serializer for lines of JSON.
//!
//! `serde_json` takes three times as long: it looks at every name of a field for what needs escaping,
//! and hands on a line in a hundred pieces. A test holds this one to what `serde_json` writes.

use std::fmt::{self, Write as _};

use bytes::BytesMut;
use serde::{Serialize, Serializer, ser};

use super::plain::is_plain;
use crate::output::escape::is_printable;

/// Compact JSON in which what is not printable is written as `\u202e`: the same value, but safe to
/// show in a terminal.
pub(super) struct Writer<'a>(pub(super) &'a mut BytesMut);

impl Writer<'_> {
    /// Inlined, as the lengths of most pieces are known where they are written.
    #[inline(always)]
    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    fn number(&mut self, number: impl itoa::Integer) -> fmt::Result {
        self.raw(itoa::Buffer::new().format(number).as_bytes());
        Ok(())
    }

    /// There are few of these.
    fn float(&mut self, number: impl Serialize) -> fmt::Result {
        self.raw(serde_json::to_string(&number).map_err(|_| fmt::Error)?.as_bytes());
        Ok(())
    }

    /// What stands between quotes.
    #[inline]
    fn escaped(&mut self, text: &str) {
        if is_plain(text.as_bytes()) {
            self.raw(text.as_bytes());
        } else {
            text.chars().for_each(|c| self.escape(c));
        }
    }

    #[cold]
    fn escape(&mut self, c: char) {
        match c {
            '"' => self.raw(br#"\""#),
            '\\' => self.raw(br"\\"),
            '\n' => self.raw(br"\n"),
            '\r' => self.raw(br"\r"),
            '\t' => self.raw(br"\t"),
            '\u{8}' => self.raw(br"\b"),
            '\u{c}' => self.raw(br"\f"),
            c if is_printable(c) => self.raw(c.encode_utf8(&mut [0; 4]).as_bytes()),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                // Memory always takes what is written.
                _ = write!(self.0, "\\u{unit:04x}");
            }),
        }
    }
}

/// What is shown goes between the quotes as it is made.
impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.escaped(text);
        Ok(())
    }
}

/// A list or an object that has been begun.
pub(super) struct Begun<'w, 'a> {
    writer: &'w mut Writer<'a>,
    is_empty: bool,
    end: &'static [u8],
}

impl<'w, 'a> Begun<'w, 'a> {
    #[inline]
    fn list(writer: &'w mut Writer<'a>) -> Result<Self, fmt::Error> {
        writer.raw(b"[");
        Ok(Self { writer, is_empty: true, end: b"]" })
    }

    #[inline]
    fn object(writer: &'w mut Writer<'a>, end: &'static [u8]) -> Result<Self, fmt::Error> {
        writer.raw(b"{");
        Ok(Self { writer, is_empty: true, end })
    }

    /// One that is the only value of an object, under the name of a variant.
    fn variant(writer: &'w mut Writer<'a>, name: &str) -> Result<&'w mut Writer<'a>, fmt::Error> {
        writer.raw(b"{");
        (&mut *writer).serialize_str(name)?;
        writer.raw(b":");
        Ok(writer)
    }

    #[inline(always)]
    fn separate(&mut self) {
        if !self.is_empty {
            self.writer.raw(b",");
        }
        self.is_empty = false;
    }

    #[inline]
    fn value<T: ?Sized + Serialize>(&mut self, value: &T) -> fmt::Result {
        self.separate();
        value.serialize(&mut *self.writer)
    }

    /// Names of fields are Rust's or ours, and need no escaping.
    #[inline(always)]
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> fmt::Result {
        self.writer.raw(if self.is_empty { b"\"" } else { b",\"" });
        self.is_empty = false;
        self.writer.raw(name.as_bytes());
        self.writer.raw(b"\":");
        value.serialize(&mut *self.writer)
    }

    #[inline]
    fn end(self) -> fmt::Result {
        self.writer.raw(self.end);
        Ok(())
    }
}

/// Methods of values that are written as they are.
macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(#[inline]
        fn $method(self, number: $type) -> fmt::Result {
            self.number(number)
        })*
    };
}

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Begun<'w, 'a>;
    type SerializeTuple = Begun<'w, 'a>;
    type SerializeTupleStruct = Begun<'w, 'a>;
    type SerializeTupleVariant = Begun<'w, 'a>;
    type SerializeMap = Begun<'w, 'a>;
    type SerializeStruct = Begun<'w, 'a>;
    type SerializeStructVariant = Begun<'w, 'a>;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> fmt::Result {
        self.raw(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_f32(self, number: f32) -> fmt::Result {
        self.float(number)
    }

    fn serialize_f64(self, number: f64) -> fmt::Result {
        self.float(number)
    }

    fn serialize_char(self, c: char) -> fmt::Result {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, text: &str) -> fmt::Result {
        self.raw(b"\"");
        self.escaped(text);
        self.raw(b"\"");
        Ok(())
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> fmt::Result {
        self.raw(b"\"");
        write!(self, "{value}")?;
        self.raw(b"\"");
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> fmt::Result {
        self.collect_seq(bytes)
    }

    #[inline]
    fn serialize_none(self) -> fmt::Result {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> fmt::Result {
        self.raw(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> fmt::Result {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> fmt::Result {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> fmt::Result {
        let writer = Begun::variant(self, name)?;
        value.serialize(&mut *writer)?;
        writer.raw(b"}");
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Begun<'w, 'a>, fmt::Error> {
        Begun::list(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Begun<'w, 'a>, fmt::Error> {
        Begun::list(self)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Begun<'w, 'a>, fmt::Error> {
        Begun::list(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Begun<'w, 'a>, fmt::Error> {
        let list = Begun::list(Begun::variant(self, name)?)?;
        Ok(Begun { end: b"]}", ..list })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Begun<'w, 'a>, fmt::Error> {
        Begun::object(self, b"}")
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Begun<'w, 'a>, fmt::Error> {
        Begun::object(self, b"}")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Begun<'w, 'a>, fmt::Error> {
        Begun::object(Begun::variant(self, name)?, b"}}")
    }
}

/// Both parts of a trait of something begun: another part of it, and its end.
macro_rules! begun {
    ($($trait:ident { $part:ident })*) => {
        $(impl ser::$trait for Begun<'_, '_> {
            type Ok = ();
            type Error = fmt::Error;

            fn $part<T: ?Sized + Serialize>(&mut self, value: &T) -> fmt::Result {
                self.value(value)
            }

            fn end(self) -> fmt::Result {
                Begun::end(self)
            }
        })*
    };
}

begun! {
    SerializeSeq { serialize_element }
    SerializeTuple { serialize_element }
    SerializeTupleStruct { serialize_field }
    SerializeTupleVariant { serialize_field }
}

impl ser::SerializeMap for Begun<'_, '_> {
    type Ok = ();
    type Error = fmt::Error;

    /// All keys of ours are strings.
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> fmt::Result {
        self.value(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> fmt::Result {
        self.writer.raw(b":");
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> fmt::Result {
        Begun::end(self)
    }
}

impl ser::SerializeStruct for Begun<'_, '_> {
    type Ok = ();
    type Error = fmt::Error;

    #[inline(always)]
    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> fmt::Result {
        self.field(name, value)
    }

    #[inline]
    fn end(self) -> fmt::Result {
        Begun::end(self)
    }
}

impl ser::SerializeStructVariant for Begun<'_, '_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> fmt::Result {
        self.field(name, value)
    }

    fn end(self) -> fmt::Result {
        Begun::end(self)
    }
}
