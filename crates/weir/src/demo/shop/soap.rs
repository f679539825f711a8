//! The SOAP part: invoices, as an old system would serve them.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::reply::with_type;

const XML: &str = "text/xml; charset=utf-8";

pub(super) async fn answer(body: String) -> Response<Body> {
    if body.contains(">0<") {
        let fault =
            "<s:Fault><faultcode>s:Client</faultcode><faultstring>no such invoice</faultstring></s:Fault>";
        return with_type(StatusCode::INTERNAL_SERVER_ERROR, XML, envelope(fault), None);
    }
    let operation = if body.contains("BookInvoice") { "BookInvoice" } else { "GetInvoice" };
    let content = format!(
        "<i:{operation}Response xmlns:i=\"urn:example:invoices\"><i:amount currency=\"EUR\">129.90</i:amount><i:booked>true</i:booked></i:{operation}Response>"
    );
    with_type(StatusCode::OK, XML, envelope(&content), None)
}

fn envelope(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{content}</s:Body></s:Envelope>"
    )
}
