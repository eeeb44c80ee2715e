//! Colours, as a help only: whatever a colour says, a word on the same line says too.

use anstyle::{AnsiColor, Effects, Style};
use tcptrace_common::tcp_state::TcpState;

use crate::model::change::{End, Reason};

/// Heads of columns.
pub(in crate::output) fn of_head(color: bool) -> Style {
    if color { Style::new().effects(Effects::BOLD) } else { Style::new() }
}

/// Green works, yellow waits for somebody, dim is over.
pub(in crate::output) fn of_state(color: bool, state: TcpState) -> Style {
    match state {
        _ if !color => Style::new(),
        TcpState::Established => foreground(AnsiColor::Green),
        TcpState::SynSent | TcpState::SynRecv | TcpState::CloseWait | TcpState::FinWait2 => {
            foreground(AnsiColor::Yellow)
        }
        TcpState::Close | TcpState::TimeWait => Style::new().effects(Effects::DIMMED),
        _ => Style::new(),
    }
}

/// Red is a failure.
pub(super) fn of_reason(color: bool, reason: Reason) -> Style {
    match reason {
        _ if !color => Style::new(),
        Reason::Fin => Style::new(),
        Reason::Local => foreground(AnsiColor::Yellow),
        _ => foreground(AnsiColor::Red),
    }
}

/// As the reason, if there is one.
pub(super) fn of_end(color: bool, end: End) -> Style {
    match end {
        End::Because(reason) => of_reason(color, reason),
        End::TimeWait | End::LastAck | End::Unknown => Style::new(),
    }
}

fn foreground(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}
