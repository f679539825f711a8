-- A call with a body of 1 KB.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["User-Agent"] = "Java-http-client/21.0.9"
wrk.headers["Accept"] = "application/json"
wrk.headers["Authorization"] = "Bearer 0123456789abcdef0123456789abcdef"
wrk.body = '{"note":"' .. string.rep("x", 1000) .. '"}'
