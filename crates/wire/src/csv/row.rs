//! A record as a line of comma-separated values (tyk-pump, section 4.1). Pure.

use std::fmt::Write;

use crate::parts::record::city_names;
use crate::tyk::record::{Geo, Network, Record, Text, Time};

/// The first line of every file: the columns of Tyk Pump 1.16, in its order.
pub const HEADER: &str = "Method,Host,Path,RawPath,ContentLength,UserAgent,Day,Month,Year,Hour,ResponseCode,APIKey,\
TimeStamp,APIVersion,APIName,APIID,OrgID,OauthID,RequestTime,RawRequest,RawResponse,IPAddress,\
GeoData.Country.ISOCode,GeoData.City.GeoNameID,GeoData.City.Names,GeoData.Location.Latitude,\
GeoData.Location.Longitude,GeoData.Location.TimeZone,NetworkStats.OpenConnections,NetworkStats.ClosedConnection,\
NetworkStats.BytesIn,NetworkStats.BytesOut,Latency.Total,Latency.Upstream,Latency.Gateway,Tags,Alias,TrackPath,\
ExpireAt,ApiSchema,OriginalPath,ListenPath\n";

const COLUMNS: usize = 42;

/// English names, which do not depend on where weir runs.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Adds the line of one record. Hardly any needs a quote, so each is written without them and looked at as a whole; that is
/// much less work than to look at every text.
pub fn write(record: &Record<'_>, out: &mut String) {
    let start = out.len();
    let mut row = Row { out, quotes: false, blank: false };
    columns(record, &mut row);
    if row.blank || !is_plain(&out.as_bytes()[start..]) {
        out.truncate(start);
        columns(record, &mut Row { out, quotes: true, blank: false });
    }
    // In the place of the last separator.
    out.pop();
    out.push('\n');
}

/// Whether a line has its separators and nothing else that wants quotes.
fn is_plain(line: &[u8]) -> bool {
    memchr::memchr_iter(b',', line).count() == COLUMNS && memchr::memchr3(b'"', b'\r', b'\n', line).is_none()
}

fn columns(record: &Record<'_>, row: &mut Row<'_>) {
    row.text(&record.method);
    row.text(&record.host);
    row.text(&record.path);
    row.text(&record.raw_path);
    row.number(record.content_length);
    row.text(&record.user_agent);
    row.number(record.day);
    row.month(record.month);
    row.number(record.year);
    row.number(record.hour);
    row.number(record.response_code);
    row.text(&record.api_key);
    row.time(record.time_stamp);
    row.text(&record.api_version);
    row.text(&record.api_name);
    row.text(&record.api_id);
    row.text(&record.org_id);
    row.text(&record.oauth_id);
    row.number(record.request_time);
    row.text(&record.raw_request);
    row.text(&record.raw_response);
    row.text(&record.ip_address);
    geo(&record.geo, row);
    network(record.network, row);
    row.number(record.latency.total);
    row.number(record.latency.upstream);
    row.number(record.latency.gateway);
    row.texts(record.tags.as_deref().unwrap_or_default());
    row.text(&record.alias);
    row.text(if record.track_path { "true" } else { "false" });
    row.time(record.expire_at);
    row.text(&record.api_schema);
    row.text(&record.original_path);
    row.text(&record.listen_path);
}

fn geo(geo: &Geo<'_>, row: &mut Row<'_>) {
    let signed = geo.latitude.is_sign_negative() || geo.longitude.is_sign_negative();
    if !signed && *geo == Geo::default() {
        return row.alike(",0,,0,0,,");
    }
    row.text(&geo.country);
    row.number(geo.geo_name_id);
    if geo.names.is_some() {
        let names = city_names(geo).into_iter().map(|(language, name)| format!("{language}:{name}"));
        row.text(&names.collect::<Vec<_>>().join(";"));
    } else {
        row.text("");
    }
    row.degrees(geo.latitude);
    row.degrees(geo.longitude);
    row.text(&geo.time_zone);
}

fn network(network: Network, row: &mut Row<'_>) {
    if network == Network::default() {
        return row.alike("0,0,0,0,");
    }
    row.number(network.open_connections);
    row.number(network.closed_connections);
    row.number(network.bytes_in);
    row.number(network.bytes_out);
}

/// A line that is being written, each column with a separator behind it.
struct Row<'a> {
    out: &'a mut String,
    /// Whether texts get the quotes that they want.
    quotes: bool,
    /// Whether a text that got none begins with a space.
    blank: bool,
}

impl Row<'_> {
    /// Several columns that most records have alike, as they are written.
    fn alike(&mut self, columns: &str) {
        self.out.push_str(columns);
    }

    fn number(&mut self, number: impl itoa::Integer + TryInto<u8> + Copy) {
        match number.try_into() {
            Ok(digit @ 0..=9) => self.out.push(char::from(b'0' + digit)),
            _ => self.out.push_str(itoa::Buffer::new().format(number)),
        }
        self.out.push(',');
    }

    fn degrees(&mut self, degrees: f64) {
        let _infallible = write!(self.out, "{degrees},");
    }

    fn time(&mut self, time: Time) {
        time.push_go(self.out);
        self.out.push(',');
    }

    /// Joined by semicolons.
    fn texts(&mut self, texts: &[Text<'_>]) {
        if self.quotes {
            return self.text(&texts.join(";"));
        }
        self.blank |= texts.first().is_some_and(|text| begins_blank(text));
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.out.push(';');
            }
            self.out.push_str(text);
        }
        self.out.push(',');
    }

    /// A month that is none is written as Go writes it.
    fn month(&mut self, number: i64) {
        match usize::try_from(number - 1).ok().and_then(|index| MONTHS.get(index)) {
            Some(name) => self.text(name),
            None => self.text(&format!("%!Month({number})")),
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return self.out.push(',');
        }
        let blank = begins_blank(text);
        self.blank |= blank;
        if self.quotes && (blank || text.contains([',', '"', '\r', '\n'])) {
            self.out.push('"');
            self.out.push_str(&text.replace('"', "\"\""));
            self.out.push('"');
        } else {
            self.out.push_str(text);
        }
        self.out.push(',');
    }
}

/// Some readers drop a leading space, so such a text is written in quotes, like those for which RFC 4180 wants them.
fn begins_blank(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tyk::record::Latency;

    #[test]
    fn a_record_is_a_line_of_42_columns() {
        assert_eq!(HEADER.trim().split(',').count(), COLUMNS);
        let record = Record {
            method: "GET".into(),
            path: "/a,b".into(),
            content_length: -1,
            user_agent: "say \"hi\"".into(),
            month: 11,
            year: 2026,
            response_code: 200,
            time_stamp: Time { seconds: 1_795_175_537, nanos: 725_064_306 },
            geo: Geo {
                country: "DE".into(),
                names: Some(vec![("en".into(), "Berlin".into()), ("de".into(), "Berlin".into())]),
                latitude: -52.5,
                ..Geo::default()
            },
            latency: Latency { total: 7, upstream: 5, gateway: 2 },
            tags: Some(vec!["a".into(), "b".into()]),
            track_path: true,
            ..Record::default()
        };
        let mut line = String::new();
        write(&record, &mut line);
        let expected = "GET,,\"/a,b\",,-1,\"say \"\"hi\"\"\",0,November,2026,0,200,,\
            2026-11-20 11:52:17.725064306 +0000 UTC,,,,,,0,,,,DE,0,de:Berlin;en:Berlin,-52.5,0,,0,0,0,0,7,5,2,\
            a;b,,true,0001-01-01 00:00:00 +0000 UTC,,,\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_text_is_quoted_where_it_must_be() {
        let with = |text: &str| {
            let mut line = String::from("before\n");
            write(&Record { method: text.into(), ..Record::default() }, &mut line);
            let line = line.strip_prefix("before\n").unwrap();
            line.strip_suffix("\n").unwrap().split(",,,").next().unwrap().to_owned()
        };
        for (text, written) in [
            ("GET", "GET"),
            ("a;b c", "a;b c"),
            (" a", "\" a\""),
            ("\ta", "\"\ta\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("a\rb", "\"a\rb\""),
        ] {
            assert_eq!(with(text), written, "{text:?}");
        }
        let tags = |tags: &[&str]| {
            let mut line = String::new();
            let tags = Some(tags.iter().map(|tag| Text::from(tag.to_string())).collect());
            write(&Record { tags, ..Record::default() }, &mut line);
            line.split(",0,0,0,0,0,0,0,").last().unwrap().split(",,false").next().unwrap().to_owned()
        };
        assert_eq!(tags(&["a", "b"]), "a;b");
        assert_eq!(tags(&["a", " b"]), "a; b", "the space does not come first");
        assert_eq!(tags(&[" a", "b"]), "\" a;b\"");
        assert_eq!(tags(&["a", "b,c"]), "\"a;b,c\"");
    }
}
