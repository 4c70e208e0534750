"""`passerelle demo`: the story of Mme Rose, with a real router between simulated partners.

stage      the partners and the router, set up in a fresh folder and taken down in order
story      what happens to Mme Rose, scene by scene, and what each scene must lead to
account    what arrived where, compared with the story
gentle     quiet traffic that goes on, day and night, until it is stopped
demo       the run
"""

from router.demo.demo import run_demo

__all__ = ["run_demo"]
