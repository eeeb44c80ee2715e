//! When something happened, as the columns and fields show it.

use bytes::BytesMut;
use jiff::tz::{Offset, TimeZone};
use serde::{Serialize, Serializer};

use super::{
    row::Row,
    style::{Format, Style},
};
use crate::{
    model::span::Moment,
    time::{ClockSample, Timestamp},
};

/// What turns event times into text.
#[derive(Clone, Debug)]
pub struct Times {
    zone: TimeZone,
    clock: ClockSample,
    /// Where the seconds column counts from; the first event shown, if not known before.
    start: Option<Timestamp>,
}

impl Times {
    /// `zone` is for the HH:MM:SS column, `start` is when the trace began.
    #[must_use]
    pub const fn new(zone: TimeZone, clock: ClockSample, start: Timestamp) -> Self {
        Self { zone, clock, start: Some(start) }
    }

    /// The clocks were compared again.
    pub const fn set_clock(&mut self, clock: ClockSample) {
        self.clock = clock;
    }

    /// The clock sample in force.
    #[must_use]
    pub const fn clock(&self) -> &ClockSample {
        &self.clock
    }

    /// bcc's tools count from the first line they print.
    pub(super) fn for_format(mut self, format: Format) -> Self {
        if matches!(format, Format::Bcc | Format::BccCsv) {
            self.start = None;
        }
        self
    }

    pub(crate) fn utc(&self, at: Timestamp) -> Utc {
        // 64 bits of nanoseconds lie well within the years that jiff knows.
        let wall = i128::from(self.clock.wall_ns(at));
        Utc(jiff::Timestamp::from_nanosecond(wall).unwrap_or_default())
    }

    /// The time of a moment, by the clock sample that was in force then.
    pub(super) fn utc_of(moment: &Moment) -> Utc {
        Utc(jiff::Timestamp::from_nanosecond(moment.wall_ns().into()).unwrap_or_default())
    }

    /// `2026-11-20 10:31:00`, in the zone of the times.
    pub(super) fn date_and_time(&self, moment: &Moment) -> String {
        self.zone.to_datetime(Self::utc_of(moment).0).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `+01:00`: how far the zone of the times is from UTC at this moment.
    pub(super) fn offset(&self, moment: &Moment) -> String {
        Self::utc_of(moment).0.to_zoned(self.zone.clone()).strftime("%:z").to_string()
    }

    /// Writes the leading time columns of a row.
    pub(super) fn columns(&mut self, row: &mut Row, style: &Style, at: Timestamp) {
        if style.time {
            row.show(self.local(at));
            row.left(8);
        }
        if style.seconds {
            row.show(self.seconds(at));
            row.left(9);
        }
    }

    /// Writes the leading time fields of bcc's CSV.
    pub(super) fn bcc_fields(&mut self, out: &mut BytesMut, style: &Style, at: Timestamp) {
        let mut row = Row::new(out);
        if style.time {
            row.show(format_args!("{},", self.local(at)));
        }
        if style.seconds {
            row.show(format_args!("{},", self.seconds(at)));
        }
    }

    fn local(&self, at: Timestamp) -> impl std::fmt::Display {
        let time = self.zone.to_datetime(self.utc(at).0).time();
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        std::fmt::from_fn(move |f| write!(f, "{hour:02}:{minute:02}:{second:02}"))
    }

    fn seconds(&mut self, at: Timestamp) -> impl std::fmt::Display + use<> {
        let start = *self.start.get_or_insert(at);
        let sign = if at < start { "-" } else { "" };
        let us = at.0.abs_diff(start.0) / 1_000;
        std::fmt::from_fn(move |f| write!(f, "{sign}{}.{:06}", us / 1_000_000, us % 1_000_000))
    }
}

/// Writes the heads of the leading time columns.
pub(super) fn heads(row: &mut Row, style: &Style, paint: anstyle::Style) {
    if style.time {
        row.painted(paint, "TIME");
        row.left(8);
    }
    if style.seconds {
        row.painted(paint, "TIME(s)");
        row.left(9);
    }
}

/// RFC 3339 in UTC with nine digits after the point.
#[derive(Clone, Copy)]
pub(crate) struct Utc(jiff::Timestamp);

impl Utc {
    /// Nanoseconds since 1970-01-01.
    pub(crate) fn ns(self) -> i64 {
        // It was made from as many, so it fits.
        i64::try_from(self.0.as_nanosecond()).unwrap_or_default()
    }
}

impl Utc {
    /// All years that nanoseconds in 64 bits reach have four digits.
    fn text(self) -> [u8; 30] {
        let moment = Offset::UTC.to_datetime(self.0);
        let (date, time) = (moment.date(), moment.time());
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let year = date.year().unsigned_abs();
        let ns = time.subsec_nanosecond().unsigned_abs();
        let [hour, minute, second] =
            [time.hour(), time.minute(), time.second()].map(|unit| unit.unsigned_abs().into());
        for (place, pair) in [
            (0, u32::from(year / 100)),
            (2, u32::from(year % 100)),
            (5, date.month().unsigned_abs().into()),
            (8, date.day().unsigned_abs().into()),
            (11, hour),
            (14, minute),
            (17, second),
            (20, ns / 10_000_000),
            (22, ns / 100_000 % 100),
            (24, ns / 1_000 % 100),
            (26, ns / 10 % 100),
            (27, ns % 100),
        ] {
            text[place] = b'0' + (pair / 10) as u8;
            text[place + 1] = b'0' + (pair % 10) as u8;
        }
        text
    }
}

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.text()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use jiff::tz::{TimeZone, offset};

    use super::{Row, Style, Times, Timestamp};
    use crate::{output::style::Format, time::ClockSample};

    fn columns(style: Style, at: u64) -> String {
        let clock = ClockSample { boot: Timestamp(0), wall_ns: 1_795_170_660_000_000_000 };
        let zone = TimeZone::fixed(offset(-5));
        let mut times = Times::new(zone, clock, Timestamp(2_000_000_000)).for_format(style.format);
        let mut out = BytesMut::new();
        let mut row = Row::new(&mut out);
        times.columns(&mut row, &style, Timestamp(at));
        row.text("|");
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn columns_show_local_time_and_seconds_since_the_start() {
        let style = Style { time: true, seconds: true, ..Style::new(Format::Table) };
        assert_eq!(columns(style, 5_123_456_789), "05:31:05 3.123456  |");
        assert_eq!(columns(style, 1_900_000_000), "05:31:01 -0.100000 |");
        let bcc = Style { format: Format::Bcc, ..style };
        assert_eq!(columns(bcc, 5_123_456_789), "05:31:05 0.000000  |");
        assert_eq!(columns(Style::new(Format::Table), 0), "|");
    }

    #[test]
    fn full_times_have_nine_digits_whatever_the_clock_says() {
        for (wall_ns, text) in [
            (1_795_170_660_123_456_789, "\"2026-11-20T10:31:00.123456789Z\""),
            (0, "\"1970-01-01T00:00:00.000000000Z\""),
            (i64::MAX, "\"2262-04-11T23:47:16.854775807Z\""),
            (i64::MIN, "\"1677-09-21T00:12:43.145224192Z\""),
        ] {
            let clock = ClockSample { boot: Timestamp(7), wall_ns };
            let times = Times::new(TimeZone::UTC, clock, Timestamp(0));
            let json = serde_json::to_string(&times.utc(Timestamp(7))).expect("JSON");
            assert_eq!(json, text);
        }
    }
}
