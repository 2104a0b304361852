"""zerorpc, the remote procedure calls that gevent programs have used so far."""

import zerorpc

from ..load import Body, call_in_turn
from ..stage import ANYWHERE, CROWD, announce, play, report


class Echo:
    def echo(self, body: Body) -> Body:
        return body


def serve(address: str, seconds: float) -> None:
    server = zerorpc.Server(Echo())
    (bound,) = server.bind(ANYWHERE)
    announce(bound.addr)
    server.run()


def call(address: str, seconds: float) -> None:
    ask(address, 1, seconds)


def call_crowd(address: str, seconds: float) -> None:
    ask(address, CROWD, seconds)


def ask(address: str, greenlets: int, seconds: float) -> None:
    client = zerorpc.Client()
    client.connect(address)
    report(call_in_turn(client.echo, greenlets, seconds))


if __name__ == "__main__":
    play({"serve": serve, "call": call, "call-crowd": call_crowd})
