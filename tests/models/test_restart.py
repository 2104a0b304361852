"""Whether and when what failed is started again, against the list of all failures."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from models.effort import tried

from zbus import Restart
from zbus.bus.restart import Failures

seconds = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])


class Service(RuleBasedStateMachine):
    """One that fails now and then. `restarts` has the time of every failure that it was started again after."""

    @initialize(limit=st.integers(1, 5), within=seconds, delay=seconds, max_delay=seconds)
    def starts(self, **policy):
        self.policy = Restart(**policy)
        self.now, self.chance = 100.0, 0.0
        self.failures = Failures(self.policy, clock=lambda: self.now, dice=lambda: self.chance)
        self.restarts: list[float] = []

    @rule(seconds=st.sampled_from([0.0, 0.25, 0.5, 1.0, 4.0]))
    def works(self, seconds):
        self.now += seconds

    @rule(chance=st.sampled_from([0.0, 0.5, 1.0]))
    def fails(self, chance):
        self.chance = chance
        recent = sum(self.now - when < self.policy.within for when in self.restarts)
        pause = self.failures.pause()
        if recent >= self.policy.limit:
            assert pause is None
            return
        longest = self.policy.delay
        for _ in range(recent):
            longest = min(2 * longest, self.policy.max_delay)
        assert pause == min(longest, self.policy.max_delay) * (1 - chance / 2)
        self.restarts.append(self.now)


@tried(3)
def test_it_is_started_again_unless_it_failed_too_often_and_ever_later(effort):
    run_state_machine_as_test(Service, settings=effort)
