"""mails by conversation, and the submissions of documents in their order

Revision: 0018
Follows: 0017
"""

import sqlalchemy as sa
from alembic import op


revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('mail',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('message_id', number, nullable=True),
    sa.Column('delivery_id', number, nullable=True),
    sa.Column('flow', sa.String(length=64), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('token', sa.BigInteger(), nullable=False),
    sa.Column('thread', sa.BigInteger(), nullable=False),
    sa.Column('sealed_head', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_mail_delivery_id_delivery'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_mail_message_id_message'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_mail'))
    )
    op.create_index('ix_mail_thread', 'mail', ['thread', 'id'])
    op.create_index('ix_mail_token', 'mail', ['token'])
    op.create_index('ix_mail_message', 'mail', ['message_id'])
    op.create_index('ix_mail_delivery', 'mail', ['delivery_id'])
    submitted = sa.text("format IN ('xds', 'pdsm')")
    op.create_index('ix_delivery_submission', 'delivery', ['format', 'id'], sqlite_where=submitted, postgresql_where=submitted)


def downgrade() -> None:
    op.drop_index('ix_delivery_submission', table_name='delivery')
    op.drop_table('mail')
