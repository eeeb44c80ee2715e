//! Numbers over time, drawn.

use super::markup::{Html, escaped, grouped};
use crate::{
    model::report::timeline::{Bucket, stuck_over_time},
    output::{
        report::{Account, words},
        units::Nanoseconds,
    },
};

/// Height of the drawings in units of their own; they are stretched to what the page has.
const HEIGHT: u64 = 100;

/// One thing that is drawn.
struct Series<'a> {
    class: &'static str,
    numbers: &'a [u64],
}

/// Writes the charts.
pub(super) fn charts(html: &mut Html<'_>, account: &Account<'_>) {
    let buckets = account.report.timeline.buckets();
    if buckets.is_empty() {
        html.element("p class=\"soft\"", "Nothing happened.");
        return;
    }
    let each = |number: fn(&Bucket) -> u64| -> Vec<u64> { buckets.iter().map(number).collect() };
    let (opened, closed) = (each(|bucket| bucket.opened), each(|bucket| bucket.closed));
    let stuck = stuck_over_time(&buckets);
    let width = Nanoseconds(account.report.timeline.width_ns()).to_string();
    html.raw("<div class=\"pair\">\n");
    let most = opened.iter().chain(&closed).copied().max().unwrap_or(0);
    html.raw("<figure class=\"card\"><figcaption><span class=\"key\">opened</span><span class=\"key closed\">finished</span>");
    html.text(&format!(" – up to {} in {width}", grouped(most)));
    html.raw("</figcaption>\n");
    let what = "Connections opened and finished over time";
    let series = [
        Series { class: "opened", numbers: &opened },
        Series { class: "closed", numbers: &closed },
    ];
    drawing(html, "opened", what, &series, most);
    axis(html, account);
    html.raw(
        "</figure>\n<figure class=\"card\"><figcaption><span class=\"key stuck\">stuck</span>",
    );
    let most = stuck.iter().copied().max().unwrap_or(0);
    html.text(&format!(" – up to {} at a time", grouped(most)));
    html.raw("</figcaption>\n");
    let series = [Series { class: "stuck", numbers: &stuck }];
    drawing(html, "stuck", "Connections stuck at a time", &series, most);
    axis(html, account);
    html.raw("</figure>\n</div>\n");
}

fn drawing(html: &mut Html<'_>, id: &str, what: &str, series: &[Series<'_>], most: u64) {
    let length = series.first().map_or(0, |series| series.numbers.len());
    // Two bars side by side fill the room of a bucket but for a gap.
    let share = 10 / series.len().max(1);
    html.raw(&format!(
        "<svg class=\"chart\" viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-desc\"><title id=\"{id}-title\">{}</title>\
         <desc id=\"{id}-desc\">A bar for each of {length} equal parts of the time, the highest {}.</desc>\n",
        length * 10,
        escaped(what),
        grouped(most),
    ));
    for (place, series) in series.iter().enumerate() {
        html.raw(&format!("<path class=\"{}\" d=\"", series.class));
        for (index, number) in series.numbers.iter().enumerate().filter(|(_, number)| **number > 0)
        {
            // What there is can be seen.
            let height =
                (u128::from(*number) * u128::from(HEIGHT) / u128::from(most.max(1))).max(1);
            let left = index * 10 + place * share;
            let gap = usize::from(share > 5);
            html.raw(&format!("M{left} {HEIGHT}v-{height}h{}v{height}z", share - gap));
        }
        html.raw("\"/>\n");
    }
    html.raw("</svg>\n");
}

/// From when to when.
fn axis(html: &mut Html<'_>, account: &Account<'_>) {
    let timeline = &account.report.timeline;
    let first = account.chart_begun(timeline.begun().unwrap_or_default());
    html.raw("<div class=\"axis\">");
    for moment in [first, account.moment(account.end())] {
        html.element("span", &words::short_time(account, &moment));
    }
    html.raw("</div>\n");
}
