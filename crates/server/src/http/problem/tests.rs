use super::*;

fn check(problem: Problem, status: u16, header: Option<(&str, &str)>) {
    let response = problem.into_response();
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
    if let Some((name, value)) = header {
        assert_eq!(response.headers()[name], value);
    }
}

#[test]
fn the_status_follows_from_the_kind() {
    check(Problem::invalid("bad", "x"), 400, None);
    check(Problem::unauthorized("bad", "x"), 401, Some(("www-authenticate", "Bearer realm=\"tidewater\"")));
    check(Problem::forbidden("bad", "x"), 403, None);
    check(Problem::not_found("bad", "x"), 404, None);
    check(Problem::new(ErrorKind::Conflict, "bad", "x"), 409, None);
    check(Problem::new(ErrorKind::Limited, "bad", "x"), 429, Some(("retry-after", "1")));
    let slow = Problem::new(ErrorKind::Unavailable, "bad", "x").retry_after(Duration::from_millis(2500));
    check(slow, 503, Some(("retry-after", "3")));
}

#[test]
fn the_document_has_the_fixed_members_and_the_extensions() {
    let problem = Problem::not_found("device-unknown", "No such device.").with("refused", json!([1]));
    let expect = json!({
        "type": "urn:tidewater:problem:device-unknown", "title": "Not Found", "status": 404,
        "code": "device-unknown", "detail": "No such device.", "refused": [1],
    });
    assert_eq!(problem.document(), expect);
}
