//! The state diagram, drawn with what went along its arrows.

use tcptrace_common::tcp_state::TcpState::{
    self, Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
    SynSent, TimeWait,
};

use super::markup::{Html, grouped};
use crate::{
    model::{diagram, report::Report},
    output::units::Nanoseconds,
};

/// Width and height of a box.
const BOX: (i32, i32) = (116, 32);
/// The boxes by their middles.
const BOXES: [(TcpState, i32, i32); 12] = [
    (Close, 230, 22),
    (Listen, 66, 118),
    (SynSent, 394, 118),
    (SynRecv, 66, 226),
    (Established, 230, 308),
    (FinWait1, 66, 412),
    (CloseWait, 394, 412),
    (FinWait2, 66, 516),
    (Closing, 230, 516),
    (LastAck, 394, 516),
    (TimeWait, 66, 620),
    (Close, 394, 620),
];

/// An arrow: its ends, its way, and where its numbers stand; `side` is the class of the text.
struct Way {
    from: TcpState,
    to: TcpState,
    path: &'static str,
    at: (i32, i32),
    side: &'static str,
}

const fn way(
    from: TcpState,
    to: TcpState,
    path: &'static str,
    at: (i32, i32),
    side: &'static str,
) -> Way {
    Way { from, to, path, at, side }
}

const WAYS: [Way; 15] = [
    way(Close, Listen, "M172 26C110 34 66 56 66 98", (92, 76), "l"),
    way(Close, SynSent, "M288 26C350 34 394 56 394 98", (368, 76), "r"),
    way(Listen, SynRecv, "M66 134V206", (74, 170), "l"),
    way(SynSent, SynRecv, "M336 124C230 130 190 212 128 225", (230, 150), "m"),
    way(SynSent, Established, "M394 134C394 230 370 296 292 307", (374, 226), "r"),
    way(SynRecv, Established, "M66 242C66 280 110 303 168 307", (92, 264), "l"),
    way(Established, FinWait1, "M192 324C150 344 66 344 66 392", (128, 362), "l"),
    way(Established, CloseWait, "M268 324C310 344 394 344 394 392", (332, 362), "r"),
    way(FinWait1, FinWait2, "M66 428V496", (74, 458), "l"),
    way(FinWait1, Closing, "M124 418C190 424 230 450 230 496", (222, 462), "r"),
    way(CloseWait, LastAck, "M394 428V496", (386, 458), "r"),
    way(FinWait2, TimeWait, "M66 532V600", (74, 562), "l"),
    way(Closing, TimeWait, "M230 532C230 590 190 612 128 618", (222, 562), "r"),
    way(LastAck, Close, "M394 532V600", (386, 562), "r"),
    way(TimeWait, Close, "M124 628C180 640 280 640 332 628", (230, 656), "m"),
];

/// Writes the drawing.
pub(super) fn drawing(html: &mut Html<'_>, report: &Report) {
    html.raw(
        "<svg class=\"diagram\" viewBox=\"0 0 460 680\" role=\"img\" \
         aria-labelledby=\"diagram-title diagram-desc\"><title id=\"diagram-title\">The state diagram \
         of TCP</title><desc id=\"diagram-desc\">On each arrow how many connections went along it, and \
         below that after what median time in the state before. The table that follows has the same \
         numbers.</desc>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"4\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/>\
         </marker></defs>\n",
    );
    for way in &WAYS {
        arrow(html, report, way);
    }
    for (state, x, y) in BOXES {
        let (width, height) = BOX;
        let class = if state == CloseWait || state == FinWait2 { " class=\"wait\"" } else { "" };
        html.raw(&format!(
            "<rect{class} x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" rx=\"7\"/>\
             <text class=\"state\" x=\"{x}\" y=\"{}\">{state}</text>\n",
            x - width / 2,
            y - height / 2,
            y + 4
        ));
    }
    html.raw("</svg>\n");
}

fn arrow(html: &mut Html<'_>, report: &Report, way: &Way) {
    let times = report.arrows.times(way.from, way.to);
    if times == 0 {
        html.raw(&format!("<path class=\"unused\" d=\"{}\"/>\n", way.path));
        return;
    }
    // A tenth of all transitions is as thick as it becomes: a busy way is seen at once.
    let thickness = if times * 10 >= report.arrows.transitions() { "2.6" } else { "1.4" };
    html.raw(&format!(
        "<path d=\"{}\" stroke-width=\"{thickness}\" marker-end=\"url(#head)\"/>\n",
        way.path
    ));
    let ((x, y), side) = (way.at, way.side);
    html.raw(&format!(
        "<text class=\"times {side}\" x=\"{x}\" y=\"{y}\">{}</text>\n",
        grouped(times)
    ));
    if let Some(ns) = report.arrows.median_ns(way.from, way.to) {
        let y = y + 14;
        html.raw(&format!(
            "<text class=\"median {side}\" x=\"{x}\" y=\"{y}\">{}</text>\n",
            Nanoseconds(ns)
        ));
    }
}

/// Writes every way that was gone, as a table.
pub(super) fn table(html: &mut Html<'_>, report: &Report) {
    let heads = ["From", "To", "#Count", "#Median", "What moves it"];
    html.table(
        "scroll",
        "Every way that connections went, and the median time in the state before",
        &heads,
    );
    let strange = report.arrows.strange().map(|(from, to)| (from, to, "against the diagram"));
    let known = diagram::arrows().map(|arrow| (arrow.from, arrow.to, arrow.cause));
    for (index, (from, to, cause)) in known.chain(strange).enumerate() {
        let times = report.arrows.times(from, to);
        if times > 0 {
            html.raw("<tr>");
            html.element("td", from.name());
            html.element("td", to.name());
            html.count("td class=\"n\"", &format!("/arrows/{index}/count"), times);
            let median = report.arrows.median_ns(from, to);
            html.known("td class=\"n\"", &format!("/arrows/{index}/median_ns"), median, |ns| {
                Nanoseconds(ns).to_string()
            });
            html.element("td class=\"wide\"", cause);
            html.raw("</tr>\n");
        }
    }
    html.end_table();
}

#[cfg(test)]
mod tests {
    use super::{BOXES, TcpState, WAYS};
    use crate::model::diagram::allows;

    #[test]
    fn the_drawing_has_every_state_and_arrows_of_the_diagram_only() {
        for state in TcpState::ALL.into_iter().filter(|state| *state != TcpState::NewSynRecv) {
            assert!(BOXES.iter().any(|(drawn, ..)| *drawn == state), "{state}");
        }
        for way in &WAYS {
            assert!(allows(way.from, way.to), "{} to {}", way.from, way.to);
        }
    }
}
