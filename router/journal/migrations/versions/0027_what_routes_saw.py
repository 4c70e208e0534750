"""what routes saw: the conditions as they were when an Item was routed; the audit by what it is about

Revision: 0027
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op


revision = '0027'
down_revision = '0026'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('routing',
    sa.Column('digest', sa.String(length=16), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('conditions', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_routing'))
    )
    op.create_index('ix_audit_target', 'audit', ['target', 'id'])


def downgrade() -> None:
    op.drop_index('ix_audit_target', table_name='audit')
    op.drop_table('routing')
