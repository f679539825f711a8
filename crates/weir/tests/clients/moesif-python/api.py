"""moesifapi by itself, every call it has: api.py ADDRESS APPLICATION_ID"""

import json
import sys
from datetime import datetime, timezone

from moesifapi.configuration import Configuration
from moesifapi.models import (
    CompanyModel,
    EventModel,
    EventRequestModel,
    EventResponseModel,
    SubscriptionModel,
    UserModel,
)
from moesifapi.moesif_api_client import MoesifAPIClient

address, application_id = sys.argv[1:]
Configuration.BASE_URI = address
api = MoesifAPIClient(application_id).api


def event(path, status):
    now = datetime.now(timezone.utc).isoformat()
    return EventModel(
        request=EventRequestModel(
            time=now, uri=f"https://api.acme.example{path}", verb="GET", headers={"Host": "api.acme.example"}
        ),
        response=EventResponseModel(time=now, status=status, headers={}, body={"ok": status < 400}),
        user_id="ann",
        company_id="acme",
        session_token="session-1",
        direction="Outgoing",
    )


seen = {}
one = api.create_event(event("/one", 200))
many = api.create_events_batch([event("/many/1", 200), event("/many/2", 503)])
config = api.get_app_config()
rules = api.get_governance_rules()
tags = [headers.get("X-Moesif-Config-ETag") for headers in (one, many, config.headers)]
seen["same_tag"] = len(set(tags)) == 1 and tags[0] is not None
seen["sample_rate"] = json.loads(config.raw_body)["sample_rate"]
seen["rules"] = len(json.loads(rules.raw_body))
api.update_user(UserModel(user_id="ann", metadata={"via": "api"}))
api.update_users_batch([UserModel(user_id="bob", metadata={}), UserModel(user_id="cid", metadata={})])
api.update_company(CompanyModel(company_id="acme", company_domain="acme.example"))
api.update_companies_batch([CompanyModel(company_id="other")])
api.update_subscription(SubscriptionModel(subscription_id="sub-1", company_id="acme", status="active"))
api.update_subscriptions_batch([SubscriptionModel(subscription_id="sub-2", company_id="other", status="trialing")])
print("saw", json.dumps(seen), flush=True)
