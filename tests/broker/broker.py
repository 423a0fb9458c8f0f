"""A real service broker for the stage `brokers`: openbrokerapi, which does everything in its own time.

It writes where it is as one line of JSON. Each line that it reads is answered with what it has and what it saw.
"""
import json
import logging
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from flask import Flask, request
from openbrokerapi import api, errors
from openbrokerapi.catalog import Schemas, ServicePlan
from openbrokerapi.service_broker import (
    Binding, BindState, DeprovisionServiceSpec, GetBindingSpec, LastOperation, OperationState, ProvisionedServiceSpec,
    ProvisionState, Service, ServiceBroker, UnbindSpec, UpdateServiceSpec,
)

# How often the broker says that it is still at it.
LOOKS = 2
SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "properties": {"size": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


class Broker(ServiceBroker):
    def __init__(self):
        self.instances, self.bindings, self.left, self.seen = {}, {}, {}, []

    def saw(self, what, details=None):
        self.seen.append({"what": what, "identity": getattr(details, "originating_identity", None)})

    def catalog(self):
        plans = [
            ServicePlan(id=f"plan-{name}", name=name, description="A plan.",
                        schemas=Schemas(service_instance={"create": {"parameters": SCHEMA}}))
            for name in ("small", "large")
        ]
        return Service(id="offering-1", name="database", description="A database.", bindable=True, plans=plans,
                       plan_updateable=True, bindings_retrievable=True)

    def provision(self, instance_id, details, async_allowed, **kwargs):
        self.saw("provision", details)
        if not async_allowed:
            raise errors.ErrAsyncRequired()
        if details.parameters and details.parameters.get("size") == 13:
            raise errors.ErrInvalidParameters("13 brings bad luck")
        self.instances[instance_id] = {"plan": details.plan_id, "parameters": details.parameters}
        self.left[instance_id] = LOOKS
        return ProvisionedServiceSpec(ProvisionState.IS_ASYNC, operation="provision & wait")

    def update(self, instance_id, details, async_allowed, **kwargs):
        self.saw("update", details)
        if details.plan_id:
            self.instances[instance_id]["plan"] = details.plan_id
        if details.parameters:
            self.instances[instance_id]["parameters"] = details.parameters
        self.left[instance_id] = LOOKS
        return UpdateServiceSpec(True, operation="update")

    def deprovision(self, instance_id, details, async_allowed, **kwargs):
        self.saw("deprovision", details)
        if instance_id not in self.instances:
            raise errors.ErrInstanceDoesNotExist()
        if any(of == instance_id for of, _ in self.bindings.values()):
            raise errors.ErrConcurrentInstanceAccess()
        del self.instances[instance_id]
        self.left[instance_id] = LOOKS
        return DeprovisionServiceSpec(True, "deprovision")

    def last_operation(self, instance_id, operation_data=None, service_id=None, plan_id=None, **kwargs):
        self.saw(f"last_operation {operation_data}")
        self.left[instance_id] -= 1
        if self.left[instance_id] >= 0:
            return LastOperation(OperationState.IN_PROGRESS, "being done")
        if operation_data == "deprovision":
            raise errors.ErrInstanceDoesNotExist()
        return LastOperation(OperationState.SUCCEEDED)

    def bind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        self.saw("bind", details)
        self.bindings[binding_id] = (instance_id, details.parameters)
        self.left[binding_id] = LOOKS
        return Binding(state=BindState.IS_ASYNC, operation="bind")

    def unbind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        self.saw("unbind", details)
        if self.bindings.pop(binding_id, None) is None:
            raise errors.ErrBindingDoesNotExist()
        return UnbindSpec(False)

    def last_binding_operation(self, instance_id, binding_id, operation_data=None, service_id=None, plan_id=None, **kwargs):
        self.saw(f"last_binding_operation {operation_data}")
        self.left[binding_id] -= 1
        return LastOperation(OperationState.IN_PROGRESS if self.left[binding_id] >= 0 else OperationState.SUCCEEDED)

    def get_binding(self, instance_id, binding_id, **kwargs):
        self.saw("get_binding")
        return GetBindingSpec(credentials={"user": "u", "password": "pa55"})


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


logging.basicConfig(level=logging.CRITICAL)
broker = Broker()
app = Flask(__name__)
app.register_blueprint(api.get_blueprint(broker, api.BrokerCredentials("hub", "secret"), logging.getLogger("broker")))
headers = []


@app.before_request
def note():
    headers.append({name: request.headers.get(name) for name in ("X-Broker-Api-Version", "X-Broker-Api-Request-Identity")})


server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
for _ in sys.stdin:
    told = {"instances": broker.instances, "bindings": len(broker.bindings), "seen": broker.seen, "headers": headers}
    print(json.dumps(told), flush=True)
