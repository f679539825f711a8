//! A record as a line of comma-separated values (tyk-pump, section 4.1). Pure.

use std::fmt::Write;

use weir_kit::text::ByteSet;

use crate::parts::record::city_names;
use crate::tyk::record::{Geo, Record, Text, Time};

/// The first line of every file: the columns of Tyk Pump 1.16, in its order.
pub const HEADER: &str = "Method,Host,Path,RawPath,ContentLength,UserAgent,Day,Month,Year,Hour,ResponseCode,APIKey,\
TimeStamp,APIVersion,APIName,APIID,OrgID,OauthID,RequestTime,RawRequest,RawResponse,IPAddress,\
GeoData.Country.ISOCode,GeoData.City.GeoNameID,GeoData.City.Names,GeoData.Location.Latitude,\
GeoData.Location.Longitude,GeoData.Location.TimeZone,NetworkStats.OpenConnections,NetworkStats.ClosedConnection,\
NetworkStats.BytesIn,NetworkStats.BytesOut,Latency.Total,Latency.Upstream,Latency.Gateway,Tags,Alias,TrackPath,\
ExpireAt,ApiSchema,OriginalPath,ListenPath\n";

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

/// Adds the line of one record.
pub fn write(record: &Record<'_>, out: &mut String) {
    let mut row = Row { out, first: true };
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
    geo(&record.geo, &mut row);
    row.number(record.network.open_connections);
    row.number(record.network.closed_connections);
    row.number(record.network.bytes_in);
    row.number(record.network.bytes_out);
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
    row.out.push('\n');
}

fn geo(geo: &Geo<'_>, row: &mut Row<'_>) {
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

/// A line that is being written.
struct Row<'a> {
    out: &'a mut String,
    first: bool,
}

impl Row<'_> {
    fn column(&mut self) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.column();
        self.out.push_str(itoa::Buffer::new().format(number));
    }

    fn degrees(&mut self, degrees: f64) {
        // Most records have no place.
        if degrees.to_bits() == 0 {
            return self.text("0");
        }
        self.column();
        let _infallible = write!(self.out, "{degrees}");
    }

    fn time(&mut self, time: Time) {
        self.column();
        time.push_go(self.out);
    }

    /// Joined by semicolons.
    fn texts(&mut self, texts: &[Text<'_>]) {
        if texts.iter().any(|text| is_quoted(text)) {
            return self.text(&texts.join(";"));
        }
        self.column();
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.out.push(';');
            }
            self.out.push_str(text);
        }
    }

    /// A month that is none is written as Go writes it.
    fn month(&mut self, number: i64) {
        match usize::try_from(number - 1).ok().and_then(|index| MONTHS.get(index)) {
            Some(name) => self.text(name),
            None => self.text(&format!("%!Month({number})")),
        }
    }

    fn text(&mut self, text: &str) {
        self.column();
        if text.is_empty() {
            return;
        }
        if is_quoted(text) {
            self.out.push('"');
            self.out.push_str(&text.replace('"', "\"\""));
            self.out.push('"');
        } else {
            self.out.push_str(text);
        }
    }
}

/// Whether a text is written in quotes: where RFC 4180 wants it, and before a leading space, which some readers drop.
fn is_quoted(text: &str) -> bool {
    static SPECIAL: ByteSet = ByteSet::new(b",\"\r\n");
    SPECIAL.occurs_in(text.as_bytes()) || text.starts_with([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tyk::record::Latency;

    #[test]
    fn a_record_is_a_line_of_42_columns() {
        assert_eq!(HEADER.trim().split(',').count(), 42);
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
}
