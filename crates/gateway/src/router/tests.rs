//! The order of routes, case by case, and agreement with the plainest reading of the rules.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::*;

fn conditions(route: usize) -> Conditions {
    Conditions {
        route,
        tier: Tier::Route,
        hosts: Vec::new(),
        paths: Vec::new(),
        strict_paths: false,
        whole_segments: false,
        methods: Vec::new(),
        headers: Vec::new(),
        snis: Vec::new(),
        regex_priority: 0,
        created: (0, route as i64),
    }
}

/// `host=a.com path=/a method=GET header=x-env:a|b sni=s priority=1`
fn route(index: usize, text: &str) -> Conditions {
    let mut made = conditions(index);
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        match name {
            "host" => made.hosts.push(value.to_owned()),
            "path" => made.paths.push(value.to_owned()),
            "method" => made.methods.push(value.to_owned()),
            "sni" => made.snis.push(value.to_owned()),
            "priority" => made.regex_priority = value.parse().unwrap(),
            "header" => {
                let (name, values) = value.split_once(':').unwrap();
                made.headers.push((name.to_owned(), values.split('|').map(str::to_owned).collect()));
            }
            "tier" => {
                made.tier = match value {
                    "api" => Tier::Api,
                    "old-host" => Tier::OldApiHost,
                    _ => Tier::OldApiPath,
                };
                made.whole_segments = made.tier != Tier::Api;
            }
            other => panic!("{other}"),
        }
    }
    made
}

struct Asked {
    method: Method,
    host: String,
    port: u16,
    path: String,
    headers: HeaderMap,
    sni: Option<String>,
}

/// `GET a.com:80/path x-env:a sni:s`
fn asked(text: &str) -> Asked {
    let mut words = text.split_whitespace();
    let method = words.next().unwrap().parse().unwrap();
    let url = words.next().unwrap();
    let (host, path) = url.split_at(url.find('/').unwrap());
    let (host, port) = host.split_once(':').map_or((host, 80), |(host, port)| (host, port.parse().unwrap()));
    let mut made = Asked {
        method,
        host: host.to_owned(),
        port,
        path: path.to_owned(),
        headers: HeaderMap::new(),
        sni: None,
    };
    for word in words {
        match word.split_once(':').unwrap() {
            ("sni", name) => made.sni = Some(name.to_owned()),
            (name, value) => {
                made.headers
                    .append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            }
        }
    }
    made
}

impl Asked {
    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            tls: self.sni.is_some(),
            grpc: false,
            host: &self.host,
            port: self.port,
            path: &self.path,
            headers: &self.headers,
            sni: self.sni.as_deref(),
        }
    }
}

/// Index of the route that is found and the part of the path it matched.
fn found(routes: &[&str], request: &str) -> Option<(usize, Option<String>)> {
    let routes: Vec<Conditions> = routes.iter().enumerate().map(|(index, text)| route(index, text)).collect();
    let router = KongRouter::new(&routes, NoMatch::Route).unwrap();
    let asked = asked(request);
    let found = router.find(&asked.head())?;
    Some((found.route, found.prefix.map(|length| found.path[..length].to_owned())))
}

#[test]
fn conditions_are_told_apart() {
    for (condition, request, matches) in [
        ("host=a.com", "GET a.com/x", true),
        ("host=a.com", "GET A.COM/x", true),
        ("host=A.com", "GET a.com/x", true),
        ("host=a.com", "GET b.com/x", false),
        ("host=a.com", "GET a.com:81/x", true),
        ("host=a.com:81", "GET a.com:81/x", true),
        ("host=a.com:81", "GET a.com/x", false),
        ("host=*.a.com", "GET b.a.com/x", true),
        ("host=*.a.com", "GET c.b.a.com/x", true),
        ("host=*.a.com", "GET a.com/x", false),
        ("host=a.*", "GET a.com/x", true),
        ("host=a.*", "GET b.com/x", false),
        ("path=/foo", "GET h/foo", true),
        ("path=/foo", "GET h/foobar", true),
        ("path=/foo", "GET h/fo", false),
        ("path=/foo", "GET h//foo", true),
        ("path=/foo", "GET h/x/../foo", true),
        ("path=/foo", "GET h/%66oo", true),
        ("path=~/a/\\d+$", "GET h/a/12", true),
        ("path=~/a/\\d+$", "GET h/a/12/b", false),
        ("path=~/a/\\d+", "GET h/x/a/1", false),
        ("path=/a/(b|c)", "GET h/a/c", true),
        ("method=GET", "GET h/", true),
        ("method=GET", "POST h/", false),
        ("header=x-env:a|b", "GET h/ x-env:B", true),
        ("header=x-env:a|b", "GET h/ x-env:c", false),
        ("header=x-env:a|b", "GET h/", false),
        ("header=x-env:~*^a.*z$", "GET h/ X-Env:aBCz", true),
        ("header=x-env:~*^a.*z$", "GET h/ x-env:b", false),
        ("sni=s.com", "GET h/ sni:S.com", true),
        ("sni=s.com", "GET h/", false),
        ("host=a.com path=/a method=GET", "GET a.com/a", true),
        ("host=a.com path=/a method=GET", "GET a.com/b", false),
    ] {
        assert_eq!(found(&[condition], request).is_some(), matches, "{condition} against {request}");
    }
}

#[test]
fn the_weightier_route_wins_whatever_the_order_of_creation() {
    for (winner, loser, request) in [
        // More kinds of conditions.
        ("path=/a method=GET", "host=a.com", "GET a.com/a"),
        ("host=a.com path=/a", "path=/abc", "GET a.com/abc"),
        // Weightier kinds: host, headers, path, method, sni.
        ("host=a.com", "header=x-env:a", "GET a.com/ x-env:a"),
        ("header=x-env:a", "path=/", "GET a.com/ x-env:a"),
        ("path=/", "method=GET", "GET a.com/"),
        ("method=GET", "sni=s", "GET a.com/ sni:s"),
        ("host=a.com method=GET", "header=x-env:a path=/", "GET a.com/ x-env:a"),
        // Wildcard with port, then plain hosts, then expressions.
        ("host=*.com:80", "host=a.com", "GET a.com/"),
        ("host=a.com", "host=*.com", "GET a.com/"),
        ("host=a.com path=/a", "host=*.com path=~/a", "GET a.com/a"),
        ("path=~/a", "path=/abc", "GET h/abc"),
        // More header names.
        ("header=x-a:1 header=x-b:1", "header=x-a:1", "GET h/ x-a:1 x-b:1"),
        // Priority of expressions, then length.
        ("path=~/a priority=5", "path=~/abc", "GET h/abc"),
        ("path=~/abc", "path=~/a", "GET h/abc"),
        ("path=/abc", "path=/a", "GET h/abc"),
        ("path=/abc path=/x", "path=/ab path=/longer-than-that", "GET h/abc"),
        // APIs come after routes; hosts of old APIs before their paths.
        ("method=GET", "tier=api host=a.com path=/a", "GET a.com/a"),
        ("tier=api path=/a", "tier=old-host host=a.com", "GET a.com/a"),
        ("tier=old-host host=a.com", "tier=old-path path=/a", "GET a.com/a"),
    ] {
        let (first, _) = found(&[winner, loser], request).unwrap();
        assert_eq!(first, 0, "{winner} before {loser}");
        let (second, _) = found(&[loser, winner], request).unwrap();
        assert_eq!(second, 1, "{winner} before {loser}, created later");
    }
    assert_eq!(found(&["path=/a", "path=/a"], "GET h/a").unwrap().0, 0, "the older of equals");
}

#[test]
fn the_matched_part_is_told() {
    for (condition, request, part) in [
        ("path=/a", "GET h/a/b", Some("/a")),
        ("path=/a path=/a/b", "GET h/a/b/c", Some("/a/b")),
        ("path=~/a/\\d+", "GET h/a/12/b", Some("/a/12")),
        ("path=/a", "GET h//a/b", Some("/a")),
        ("method=GET", "GET h/a", None),
    ] {
        let (_, prefix) = found(&[condition], request).unwrap();
        assert_eq!(prefix.as_deref(), part, "{condition} against {request}");
    }
}

#[test]
fn old_apis_match_whole_segments_and_the_overriding_host() {
    let host = "tier=old-host host=a.com";
    let path = "tier=old-path path=/a";
    assert!(found(&[path], "GET h/a/b").is_some());
    assert!(found(&[path], "GET h/ab").is_none());
    assert!(found(&[host], "GET h/ x-host-override:a.com").is_some());
    assert_eq!(found(&[host, path], "GET h/a x-host-override:A.com").unwrap().0, 0);
    assert!(found(&["tier=api host=a.com"], "GET h/ x-host-override:a.com").is_none());
}

#[test]
fn a_call_without_route_is_told_so_in_the_words_of_its_time() {
    let asked = asked("GET h/p");
    for (no_match, body) in [
        (NoMatch::Route, r#"{"message":"no Route matched with those values"}"#),
        (NoMatch::RouteAndApi, r#"{"message":"no route and no API found with those values"}"#),
        (NoMatch::Api, r#"{"message":"no API found with those values"}"#),
        (
            NoMatch::OldApi,
            r#"{"message":"API not found with these values","request_host":["h"],"request_path":"/p"}"#,
        ),
    ] {
        let answer = KongRouter::new(&[], no_match).unwrap().no_match(&asked.head());
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.body, body);
    }
}

/// The rules read plainly: every way to match every route, each compared with every other.
mod reference {
    use super::*;

    type Key = (u8, u32, u32, u8, usize, i64, usize, i64);

    pub(super) fn find(routes: &[Conditions], asked: &Asked) -> Option<(usize, Option<usize>)> {
        let path = normalise(&asked.path).into_owned();
        let mut best: Option<(Key, usize, Option<usize>)> = None;
        for route in routes {
            let mut ways: Vec<(Option<&str>, bool)> = route
                .paths
                .iter()
                .map(|path| (Some(path.trim_start_matches('~')), path.starts_with('~')))
                .collect();
            if ways.is_empty() {
                ways.push((None, false));
            }
            for (way, is_expression) in ways {
                let Some(matched) = matches(route, asked, &path, way, is_expression) else { continue };
                let key = key(route, way, is_expression);
                // Larger is better in all but the last, where it is kept negative.
                if best.as_ref().is_none_or(|(other, ..)| key > *other) {
                    best = Some((key, route.route, matched));
                }
            }
        }
        best.map(|(_, route, matched)| (route, matched))
    }

    fn matches(
        route: &Conditions,
        asked: &Asked,
        path: &str,
        way: Option<&str>,
        is_expression: bool,
    ) -> Option<Option<usize>> {
        let host = asked.host.to_lowercase();
        let host_fits = |pattern: &String| {
            let (name, port) =
                pattern.split_once(':').map_or((&**pattern, None), |(n, p)| (n, p.parse().ok()));
            let name_fits = if let Some(end) = name.strip_prefix('*') {
                host.ends_with(end) && host.len() > end.len()
            } else if let Some(start) = name.strip_suffix('*') {
                host.starts_with(start) && host.len() > start.len()
            } else {
                host == name
            };
            name_fits && port.is_none_or(|port: u16| port == asked.port)
        };
        let header_fits =
            |(name, values): &(String, Vec<String>)| {
                asked.headers.get_all(name.as_str()).iter().any(|value| {
                    values.iter().any(|wanted| wanted.eq_ignore_ascii_case(value.to_str().unwrap()))
                })
            };
        let fits = (route.hosts.is_empty() || route.hosts.iter().any(host_fits))
            && (route.methods.is_empty()
                || route.methods.iter().any(|method| asked.method == method.as_str()))
            && route.headers.iter().all(header_fits);
        match way {
            _ if !fits => None,
            None => Some(None),
            Some(pattern) if is_expression => {
                let found = regex::Regex::new(&format!("^(?:{pattern})")).unwrap().find(path)?;
                Some(Some(found.end()))
            }
            Some(prefix) => path.starts_with(prefix).then_some(Some(prefix.len())),
        }
    }

    fn key(route: &Conditions, way: Option<&str>, is_expression: bool) -> Key {
        let kinds =
            [!route.hosts.is_empty(), !route.headers.is_empty(), way.is_some(), !route.methods.is_empty()];
        let count = kinds.iter().filter(|kind| **kind).count() as u32;
        let weight = kinds.iter().fold(0, |weight, kind| weight * 2 + u32::from(*kind));
        let wildcards: Vec<bool> = route.hosts.iter().map(|host| host.contains('*')).collect();
        let with_port = route.hosts.iter().any(|host| host.contains('*') && host.contains(':'));
        let plain = !wildcards.is_empty() && !wildcards.contains(&true);
        let special = 4 * u8::from(with_port) + 2 * u8::from(plain) + u8::from(is_expression);
        let priority = if is_expression { route.regex_priority } else { 0 };
        // Among the expressions of one route the longest stands for all in the order, and is tried first.
        let length = if is_expression {
            let own = route.paths.iter().filter(|path| path.starts_with('~'));
            own.map(|path| path.len() - 1).max().unwrap_or(0)
        } else {
            way.map_or(0, str::len)
        };
        (0, count, weight, special, route.headers.len(), priority, length, -(route.created.1))
    }
}

fn any_route() -> impl Strategy<Value = Conditions> {
    let hosts =
        prop::collection::vec(prop::sample::select(vec!["a.b", "*.b", "a.*", "a.b:81", "*.b:81"]), 0..3);
    let paths = prop::collection::vec(prop::sample::select(vec!["/", "/a", "/a/b", "/ab", "~/a"]), 0..3);
    let methods = prop::collection::vec(prop::sample::select(vec!["GET", "PUT"]), 0..2);
    let headers = prop::collection::btree_map(
        prop::sample::select(vec!["x-a", "x-b"]),
        prop::sample::select(vec!["1", "2"]),
        0..3,
    );
    (hosts, paths, methods, headers, 0i64..3).prop_map(|(hosts, paths, methods, headers, regex_priority)| {
        let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
        Conditions {
            hosts: texts(hosts),
            paths: texts(paths),
            methods: texts(methods),
            headers: headers.collect(),
            regex_priority,
            ..conditions(0)
        }
    })
}

proptest! {
    #[test]
    fn the_router_agrees_with_the_plain_reading(
        mut routes in prop::collection::vec(any_route(), 0..8),
        method in prop::sample::select(vec!["GET", "PUT"]),
        host in prop::sample::select(vec!["a.b", "A.B:81", "c.b", "a.c:81", "x"]),
        path in prop::sample::select(vec!["/", "/a", "/a/b/c", "/ab", "/x", "//a/./b"]),
        header in prop::sample::select(vec!["", " x-a:1", " x-a:1 x-b:2", " x-b:1"]),
    ) {
        for (index, route) in routes.iter_mut().enumerate() {
            route.route = index;
            route.created = (0, index as i64);
        }
        let asked = asked(&format!("{method} {host}{path}{header}"));
        let router = KongRouter::new(&routes, NoMatch::Route).unwrap();
        let found = router.find(&asked.head()).map(|found| (found.route, found.prefix));
        prop_assert_eq!(found, reference::find(&routes, &asked));
    }
}

#[test]
fn an_ordinary_lookup_borrows_its_path() {
    let routes = [route(0, "host=a.com path=/a")];
    let router = KongRouter::new(&routes, NoMatch::Route).unwrap();
    let asked = asked("GET a.com/a/b");
    let found = router.find(&asked.head()).unwrap();
    assert!(matches!(found.path, Cow::Borrowed("/a/b")));
}
