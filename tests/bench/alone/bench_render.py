"""Microseconds per rendered request: `python -m tests.bench.alone.bench_render`.

Each figure is the median of seven rounds; the whole of `RequestTemplate.render` is timed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

from tests.render.rendering import a_user, an_event, compiled

PROPERTIES = {f"p{number}": f"value {number}" for number in range(30)} | {"amount": 1534.7, "note": "abc"}
EVENT = an_event(PROPERTIES)
USER = a_user({"name": "Ann Lee Smith", "email": "Ann@Acme.com", "plan": "pro"})

CASES: dict[str, dict[str, Any]] = {
    "3 plain fields": {
        "body": {
            "user": "{{ user.id }}",
            "plan": "{{ user.properties.plan }}",
            "amount": "{{ event.properties.amount }}",
        }
    },
    "30 plain fields": {
        "body": {f"f{number}": f"{{{{ event.properties.p{number} }}}}" for number in range(30)}
    },
    "text of plain paths": {
        "body": {"text": "{{ user.properties.name }} spent {{ event.properties.amount }} at {{ event.time }}"}
    },
    "text of one path": {"body": {"text": "Hello {{ user.properties.name }}!"}},
    "one Liquid filter": {"body": {"email": "{{ user.properties.email | downcase }}"}},
    "a Liquid filter chain": {
        "body": {"first": "{{ user.properties.name | split: ' ' | first | upcase | default: 'x' }}"}
    },
    "Liquid tags": {"body": {"text": "{% if event.properties.amount > 500 %}big{% else %}small{% endif %}"}},
    "the whole event and user": {},
    "constant body": {"body": {"text": "hello"}},
    "secret in the body": {"body": {"key": "${TOK}", "id": "{{ user.id }}"}},
    "path, query and header": {
        "url": "https://x.example/users/{{ user.id }}",
        "query": {"plan": "{{ user.properties.plan }}"},
        "headers": {"X-Name": "{{ user.properties.name }}"},
        "body": {},
    },
}


def microseconds(request: dict[str, Any], rounds: int = 7) -> float:
    """Return the median time of one rendering."""
    template, problems = compiled(request)
    assert not problems.found, problems.found
    render = template.render
    render(EVENT, USER)
    figures = []
    for _ in range(rounds):
        count = 0
        start = time.perf_counter()
        while (spent := time.perf_counter() - start) < 0.05:
            for _ in range(200):
                render(EVENT, USER)
            count += 200
        figures.append(spent / count * 1e6)
    return statistics.median(figures)


def main() -> None:
    """Print the table, or with --json one object."""
    results = {name: round(microseconds(request), 2) for name, request in CASES.items()}
    if "--json" in sys.argv:
        print(json.dumps(results))
        return
    print("us per request")
    for name, figure in results.items():
        print(f"{figure:8.2f}  {name}")


if __name__ == "__main__":
    main()
