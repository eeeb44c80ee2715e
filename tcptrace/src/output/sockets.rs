//! The list of sockets that exist now.

use bytes::BytesMut;

use super::{
    fields::sockets as fields,
    style::{Format, Style},
    table::sockets as table,
};
use crate::model::socket_list::ListedSocket;

/// Writes the whole list, with the names of the columns if the format has any.
///
/// bcc has no tool that lists sockets; asked for its format, the list is a table or CSV of ours.
pub fn sockets(out: &mut BytesMut, style: &Style, list: &[ListedSocket]) {
    match style.format {
        Format::Table | Format::Bcc => table::list(out, style, list),
        Format::Csv | Format::BccCsv => fields::csv(out, list),
        Format::Json => fields::json(out, list),
    }
}
