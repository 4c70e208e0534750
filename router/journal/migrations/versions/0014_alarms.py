"""alarms and what became of them

Revision: 0014
Follows: 0013
"""

import sqlalchemy as sa
from alembic import op


revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('alarm',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('subject', sa.String(length=120), nullable=False),
    sa.Column('opened_at', sa.BigInteger(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.Column('facts', sa.Text(), nullable=False),
    sa.Column('told_at', sa.BigInteger(), nullable=True),
    sa.Column('acknowledged_at', sa.BigInteger(), nullable=True),
    sa.Column('acknowledged_by', sa.String(length=120), nullable=True),
    sa.Column('snoozed_until', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_alarm'))
    )
    still = sa.text('closed_at IS NULL')
    op.create_index('ux_alarm_open', 'alarm', ['kind', 'subject'], unique=True, sqlite_where=still, postgresql_where=still)
    op.create_index('ix_alarm_cause', 'alarm', ['kind', 'subject', 'id'])


def downgrade() -> None:
    op.drop_index('ix_alarm_cause', table_name='alarm')
    op.drop_index('ux_alarm_open', table_name='alarm')
    op.drop_table('alarm')
