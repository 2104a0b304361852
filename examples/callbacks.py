"""The worker of poller.py with callbacks: one for commands, one for a topic, and the loop ended from inside of one.

    $ python examples/callbacks.py
    command: Continue
    topic 9: number 1
    command: Continue
    topic 9: number 2
    ...
    command: Exit
    publisher: goes on without it

Registering a callback for a topic subscribes to it. In three terminals, in any order; the publisher goes on until
Ctrl-C:

    $ python examples/callbacks.py worker
    $ python examples/callbacks.py commander --interval 1
    $ python examples/callbacks.py publisher --interval 1
"""

from __future__ import annotations

from poller import main

import zbus


def work(commands: str, updates: str) -> None:
    """Have the callbacks called until one of them says stop."""
    dispatcher = zbus.Dispatcher()

    @dispatcher.command("Continue")
    def go_on(message: zbus.Message) -> None:
        print("command: Continue", flush=True)

    @dispatcher.command("Exit")
    def leave(message: zbus.Message) -> None:
        print("command: Exit", flush=True)
        dispatcher.stop()

    @dispatcher.topic("9")
    def update(message: zbus.Message) -> None:
        print(f"topic {message.topic}: number {message.body}", flush=True)

    with dispatcher.add(zbus.Pull(connect=commands)), dispatcher.add(zbus.Subscriber(connect=updates)):
        dispatcher.run()


if __name__ == "__main__":
    main(work, __doc__)
