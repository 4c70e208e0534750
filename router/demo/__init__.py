"""`passerelle demo`: the story of Mme Rose, with a real router between simulated partners.

stage     the partners and the router, set up in a fresh folder and taken down in order; `stage_outside` the MSSanté
          operator and the DMP; `circle` the nurse, the one who left, and the coordination tool of each
scene     one thing that happens, and what must come of it
story     what happens to Mme Rose, scene by scene; `story_mail` what comes and leaves by MSSanté
account   what arrived where, compared with the story; `account_outside` what is in the mailboxes and in the DMP
officer   who decides at the identity desk
gentle    quiet traffic that goes on, day and night, until it is stopped; `gentle_outside` mails, letters, deposits
demo      the run
"""

from router.demo.demo import run_demo

__all__ = ["run_demo"]
