-- A call as a browser makes it.
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
wrk.headers["Accept"] = "application/json, text/plain, */*"
wrk.headers["Accept-Language"] = "en-GB,en;q=0.7,nl;q=0.3"
wrk.headers["Referer"] = "https://shop.example.com/products?page=2"
wrk.headers["Authorization"] = "Bearer 0123456789abcdef0123456789abcdef"
wrk.headers["Cookie"] = "theme=dark; sid=0123456789abcdef"
wrk.headers["X-Request-Id"] = "0b2c1d9e-6f4a-4a5b-9c3d-1e2f3a4b5c6d"
