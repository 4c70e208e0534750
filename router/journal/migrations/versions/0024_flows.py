"""pauses of sources, destinations and routes; versions of the configuration

Revision: 0024
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op


revision = '0024'
down_revision = '0023'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('flow_pause',
    sa.Column('side', sa.String(length=12), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('reason', sa.String(length=400), nullable=False),
    sa.PrimaryKeyConstraint('side', 'name', name=op.f('pk_flow_pause'))
    )
    op.create_table('configuration_version',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('origin', sa.String(length=12), nullable=False),
    sa.Column('comment', sa.String(length=400), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('base', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('settled_at', sa.BigInteger(), nullable=True),
    sa.Column('detail', sa.Text(), server_default='', nullable=False),
    sa.Column('sealed_text', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_configuration_version'))
    )
    op.create_index('ix_configuration_version_state', 'configuration_version', ['state', 'id'])


def downgrade() -> None:
    op.drop_index('ix_configuration_version_state', table_name='configuration_version')
    op.drop_table('configuration_version')
    op.drop_table('flow_pause')
