//! The REST part.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::reply::{json, problem, with_type};
use super::{CATEGORIES, PRODUCTS, USERS, product_slug};

type Answer = Response<Body>;

fn product_value(index: u32) -> Value {
    let tags = &["new", "outdoor", "gift"][..index as usize % 4];
    json!({
        "id": index + 1,
        "slug": product_slug(index),
        "category": CATEGORIES[index as usize % CATEGORIES.len()],
        "price": { "value": 990 + index * 137 % 19_000, "currency": "EUR" },
        "stock": index * 7 % 60,
        "description": "Made to last, in small numbers, by people who like what they do. Ships within two days.",
        "tags": tags,
    })
}

fn find_product(slug: &str) -> Option<u32> {
    (0..PRODUCTS).find(|index| product_slug(*index) == slug)
}

pub(super) async fn categories(headers: HeaderMap) -> Answer {
    json(&headers, StatusCode::OK, &json!({ "categories": CATEGORIES }))
}

pub(super) async fn products(headers: HeaderMap, Query(query): Query<HashMap<String, String>>) -> Answer {
    let number = |name: &str, otherwise: u32, most: u32| {
        query.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise).clamp(1, most)
    };
    let (page, per_page) = (number("page", 1, 1_000), number("per_page", 20, 100));
    let first = (page - 1) * per_page;
    let products: Vec<Value> = (first..(first + per_page).min(PRODUCTS)).map(product_value).collect();
    let words = query.get("q");
    json(
        &headers,
        StatusCode::OK,
        &json!({ "products": products, "page": page, "total": PRODUCTS, "q": words }),
    )
}

pub(super) async fn product(headers: HeaderMap, Path(slug): Path<String>) -> Answer {
    match find_product(&slug) {
        Some(index) => json(&headers, StatusCode::OK, &product_value(index)),
        None => problem(StatusCode::NOT_FOUND, &format!("no product {slug:?}")),
    }
}

pub(super) async fn reviews(headers: HeaderMap, Path(slug): Path<String>) -> Answer {
    let Some(index) = find_product(&slug) else {
        return problem(StatusCode::NOT_FOUND, &format!("no product {slug:?}"));
    };
    let review = |number: u32| {
        json!({ "stars": (index + number) % 5 + 1, "author": format!("user{}@example.com", number * 31 % USERS),
            "text": "Does what it says. The colour is a little darker than on the picture." })
    };
    let reviews: Vec<Value> = (0..index % 12).map(review).collect();
    json(&headers, StatusCode::OK, &json!({ "reviews": reviews }))
}

/// A large answer, some hundreds of kilobytes.
pub(super) async fn export(headers: HeaderMap) -> Answer {
    let products: Vec<Value> = (0..PRODUCTS * 5).map(|index| product_value(index % PRODUCTS)).collect();
    json(&headers, StatusCode::OK, &json!({ "products": products }))
}

pub(super) async fn import(headers: HeaderMap, body: Bytes) -> Answer {
    let rows = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|value| Some(value["products"].as_array()?.len()));
    match rows {
        Some(rows) => {
            json(&headers, StatusCode::ACCEPTED, &json!({ "accepted": rows, "job": "import-2026" }))
        }
        None => problem(StatusCode::BAD_REQUEST, "products is missing"),
    }
}

pub(super) async fn log_in(headers: HeaderMap, body: String) -> Answer {
    if !body.contains("password=right") {
        return problem(StatusCode::UNAUTHORIZED, "the e-mail address or the password is wrong");
    }
    let tokens =
        json!({ "access_token": "access-s3cr3t", "refresh_token": "refresh-s3cr3t", "expires_in": 3_600 });
    let mut answer = json(&headers, StatusCode::OK, &tokens);
    let cookie = HeaderValue::from_static("sid=s3cr3t-session; Path=/; HttpOnly; Secure; SameSite=Lax");
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    answer
}

pub(super) async fn oauth_callback() -> Answer {
    let mut answer = with_type(StatusCode::FOUND, "text/html", "", None);
    let target = HeaderValue::from_static("https://shop.example.com/welcome?ref=oauth&token=s3cr3t-redirect");
    answer.headers_mut().insert(header::LOCATION, target);
    answer
}

pub(super) async fn user(headers: HeaderMap, Path(id): Path<u32>) -> Answer {
    let user = json!({ "id": id, "email": format!("user{id}@example.com"), "name": "Ann Example", "newsletter": id % 2 == 0 });
    json(&headers, StatusCode::OK, &user)
}

pub(super) async fn change_user(headers: HeaderMap, Path(id): Path<u32>) -> Answer {
    json(&headers, StatusCode::OK, &json!({ "id": id, "changed": true }))
}

pub(super) async fn user_orders(headers: HeaderMap, Path(id): Path<u32>) -> Answer {
    let orders: Vec<Value> = (0..id % 30).map(|number| order_value(10_000 + id * 90 + number)).collect();
    json(&headers, StatusCode::OK, &json!({ "orders": orders, "next": null }))
}

pub(super) async fn user_addresses(headers: HeaderMap, Path(id): Path<u32>) -> Answer {
    json(
        &headers,
        StatusCode::OK,
        &json!({ "addresses": [{ "id": id * 3, "city": "Utrecht", "country": "NL" }] }),
    )
}

pub(super) async fn add_item(headers: HeaderMap, Path(cart): Path<String>, body: Bytes) -> Answer {
    let item: Value = serde_json::from_slice(&body).unwrap_or_default();
    match item["quantity"].as_u64() {
        Some(quantity) if quantity < 100 => json(
            &headers,
            StatusCode::CREATED,
            &json!({ "cart": cart, "item": item, "total": 4_990 * quantity }),
        ),
        Some(_) => problem(StatusCode::CONFLICT, "not that many in stock"),
        None => problem(StatusCode::UNPROCESSABLE_ENTITY, "quantity is missing"),
    }
}

fn order_value(id: u32) -> Value {
    let status = ["placed", "paid", "packed", "shipped", "delivered"][id as usize % 5];
    json!({ "id": id, "status": status, "total": { "value": id * 13 % 50_000, "currency": "EUR" },
        "lines": [{ "product": product_slug(id % PRODUCTS), "quantity": id % 3 + 1 }] })
}

pub(super) async fn place_order(headers: HeaderMap, body: Bytes) -> Answer {
    let order: Value = serde_json::from_slice(&body).unwrap_or_default();
    if order["address"].is_null() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "address is missing");
    }
    sleep(Duration::from_millis(30)).await;
    json(&headers, StatusCode::CREATED, &order_value(10_000 + u32::try_from(body.len()).unwrap_or(0)))
}

pub(super) async fn order(headers: HeaderMap, Path(id): Path<u32>) -> Answer {
    match id {
        10_000..60_000 => json(&headers, StatusCode::OK, &order_value(id)),
        _ => problem(StatusCode::NOT_FOUND, &format!("no order {id}")),
    }
}

/// Server-sent events: the stations of an order, one at a time.
pub(super) async fn order_events(Path(id): Path<u32>) -> Answer {
    let stations = ["placed", "paid", "packed", "shipped"].into_iter().enumerate();
    let events = stream::unfold(stations, move |mut stations| async move {
        let (number, station) = stations.next()?;
        sleep(Duration::from_millis(80)).await;
        let event =
            format!("id: {number}\nevent: station\ndata: {{\"order\":{id},\"station\":\"{station}\"}}\n\n");
        Some((Ok::<_, Infallible>(event), stations))
    });
    with_type(StatusCode::OK, "text/event-stream", Body::from_stream(events), None)
}

/// Cards that end in 0002 are declined, and the issuer of those that begin with 5 does not answer.
pub(super) async fn pay(headers: HeaderMap, body: Bytes) -> Answer {
    let payment: Value = serde_json::from_slice(&body).unwrap_or_default();
    let card = payment["card"]["card_number"].as_str().unwrap_or_default();
    if card.starts_with('5') {
        sleep(Duration::from_millis(600)).await;
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the card issuer does not answer");
    }
    sleep(Duration::from_millis(90)).await;
    if card.ends_with("0002") {
        let declined = json!({ "error": { "code": "card_declined", "decline_code": "insufficient_funds" } });
        return json(&headers, StatusCode::PAYMENT_REQUIRED, &declined);
    }
    json(
        &headers,
        StatusCode::CREATED,
        &json!({ "id": "pay_9s6XKzkNRiz8i3", "order": payment["order"], "status": "captured" }),
    )
}

/// A slow answer: its time depends on the day.
pub(super) async fn report(headers: HeaderMap, Path(day): Path<String>) -> Answer {
    let weight: u64 = day.bytes().map(u64::from).sum();
    sleep(Duration::from_millis(250 + weight * 37 % 900)).await;
    let hours: Vec<Value> =
        (0..24_u64).map(|hour| json!({ "hour": hour, "orders": (hour * weight) % 400 })).collect();
    json(&headers, StatusCode::OK, &json!({ "day": day, "hours": hours }))
}
