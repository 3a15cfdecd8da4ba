//! How much proxies have carried, for whoever collects it (`/metrics`, in the text format of Prometheus).

use super::toxics::Stream;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one proxy has carried between its addresses.
#[derive(Default, Debug)]
pub struct Traffic {
    upstream: Carried,
    downstream: Carried,
}

/// Bytes in one direction.
#[derive(Default, Debug)]
pub struct Carried {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    pub fn of(&self, stream: Stream) -> &Carried {
        match stream {
            Stream::Upstream => &self.upstream,
            Stream::Downstream => &self.downstream,
        }
    }
}

impl Carried {
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// What a proxy is called and where it leads, with what it has carried.
pub struct Counted {
    pub proxy: String,
    pub listener: String,
    pub upstream: String,
    pub traffic: Arc<Traffic>,
}

/// The figures of all proxies.
pub fn exposition(counted: &[Counted]) -> String {
    let received = |carried: &Carried| carried.received.load(Ordering::Relaxed);
    let sent = |carried: &Carried| carried.sent.load(Ordering::Relaxed);
    let mut text = String::new();
    family(&mut text, "received", "Bytes that came in", counted, received);
    family(&mut text, "sent", "Bytes that went out", counted, sent);
    text
}

fn family(text: &mut String, what: &str, help: &str, counted: &[Counted], bytes: impl Fn(&Carried) -> u64) {
    let name = format!("toxiproxy_proxy_{what}_bytes_total");
    // Writing to a string cannot fail.
    _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    for Counted { proxy, listener, upstream, traffic } in counted {
        let (proxy, listener, upstream) = (escaped(proxy), escaped(listener), escaped(upstream));
        for stream in [Stream::Downstream, Stream::Upstream] {
            let (direction, bytes) = (stream.name(), bytes(traffic.of(stream)));
            let labels =
                format!(r#"direction="{direction}",listener="{listener}",proxy="{proxy}",upstream="{upstream}""#);
            _ = writeln!(text, "{name}{{{labels}}} {bytes}");
        }
    }
}

/// As the value of a label is written.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_every_proxy_are_told() {
        let traffic = Arc::new(Traffic::default());
        traffic.of(Stream::Upstream).received(5);
        traffic.of(Stream::Upstream).received(2);
        traffic.of(Stream::Downstream).sent(3);
        let counted = Counted {
            proxy: "a \"b\"\n".to_owned(),
            listener: "127.0.0.1:1".to_owned(),
            upstream: "c\\d:2".to_owned(),
            traffic,
        };
        let labels = |direction: &str| {
            format!(r#"{{direction="{direction}",listener="127.0.0.1:1",proxy="a \"b\"\n",upstream="c\\d:2"}}"#)
        };
        let (down, up) = (labels("downstream"), labels("upstream"));
        let expected = format!(
            "# HELP toxiproxy_proxy_received_bytes_total Bytes that came in\n\
             # TYPE toxiproxy_proxy_received_bytes_total counter\n\
             toxiproxy_proxy_received_bytes_total{down} 0\n\
             toxiproxy_proxy_received_bytes_total{up} 7\n\
             # HELP toxiproxy_proxy_sent_bytes_total Bytes that went out\n\
             # TYPE toxiproxy_proxy_sent_bytes_total counter\n\
             toxiproxy_proxy_sent_bytes_total{down} 3\n\
             toxiproxy_proxy_sent_bytes_total{up} 0\n"
        );
        assert_eq!(exposition(&[counted]), expected);
    }
}
