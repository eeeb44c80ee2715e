//! What the user asked the output to look like.

/// How records read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The language.
    pub format: Format,
    /// A leading column with the local time of the event, HH:MM:SS. CSV and JSON always carry the
    /// full time and know no further columns.
    pub time: bool,
    /// A leading column with the seconds since the trace began. Not in CSV and JSON either.
    pub seconds: bool,
    /// Room for IPv6 addresses, and more columns. Not in CSV and JSON, which always have all.
    pub wide: bool,
    /// Colours, in tables only.
    pub color: bool,
}

/// The language of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Ours, made for reading.
    Table,
    /// Column for column what bcc's tcpstates and tcplife print.
    Bcc,
    /// What bcc's tools print with `-s`.
    BccCsv,
    /// RFC 4180, with the names of the JSON as the header.
    Csv,
    /// One object per line.
    Json,
}

impl Style {
    /// A plain style of this format.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self { format, time: false, seconds: false, wide: false, color: false }
    }
}
